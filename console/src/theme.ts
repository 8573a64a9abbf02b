/** Light or dark: as the system has it, or as the user chose. */

import { signal } from "@preact/signals";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const stored = localStorage.getItem("theme");
export const theme = signal<Theme>(THEMES.find((each) => each === stored) ?? "system");

export function showTheme(): void {
  document.documentElement.dataset["theme"] = theme.value;
}

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  localStorage.setItem("theme", chosen);
  showTheme();
}
