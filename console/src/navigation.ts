/** Navigation between pages: where Esc leads back to, and what must not be lost by leaving. */

import { signal } from "@preact/signals";
import type { AroundNavHandler } from "wouter-preact";
import { origins } from "./back_navigation.ts";

/** States of a navigation: to the page beside this one, from which Esc leads to the same list, and by Esc. */
export const BESIDE = "beside";
export const BACK = "back";

/** Leaves the page, once somebody agrees to lose what is typed. */
export const leaving = signal<(() => void) | undefined>();
let unsaved = 0; // parts of the page
const ask = (event: BeforeUnloadEvent) => event.preventDefault();

/** Ask before the page is left until the returned function is called. */
export function holdUnsaved(): () => void {
  unsaved += 1;
  addEventListener("beforeunload", ask);
  return () => {
    unsaved -= 1;
    if (!unsaved) removeEventListener("beforeunload", ask);
  };
}

/** Every navigation but those of the browser itself. */
export const aroundNav: AroundNavHandler = (navigate, to, options) => {
  const go = () => {
    const from = location.pathname + location.search;
    if (options?.state !== BACK) origins.remember(from, to, options?.state === BESIDE);
    navigate(to, options);
  };
  if (unsaved) leaving.value = go;
  else go();
};
