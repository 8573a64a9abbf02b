/** Keys of the whole page: go to, help, search; and those of the list that is shown. */

import { signal } from "@preact/signals";
import { MENU } from "./menu.ts";

/** A list that j, k, x, y and Enter work on. */
export interface KeyedList {
  move: (by: number) => void;
  open: () => void;
  select?: (() => void) | undefined;
  copy?: (() => void) | undefined;
}

export const areLettersOn = signal(localStorage.getItem("letters") !== "off");
export const isHelpOpen = signal(false);
const lists: KeyedList[] = [];
const others = new Map<string, () => void>();
let isGoing = false;

/** Let the keys work on a list until the returned function is called. */
export function keyList(list: KeyedList): () => void {
  lists.push(list);
  return () => void lists.splice(lists.indexOf(list), 1);
}

/** Let a key do something until the returned function is called; in a layout effect, it works once it shows. */
export function onKey(key: string, act: () => void): () => void {
  others.set(key, act);
  return () => {
    if (others.get(key) === act) others.delete(key);
  };
}

export function toggleLetters(): void {
  areLettersOn.value = !areLettersOn.value;
  localStorage.setItem("letters", areLettersOn.value ? "on" : "off");
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");

function actOn(key: string, list: KeyedList | undefined): boolean {
  if (key === "j") list?.move(1);
  else if (key === "k") list?.move(-1);
  else if (key === "x") list?.select?.();
  else if (key === "y") list?.copy?.();
  else if (key === "?") isHelpOpen.value = true;
  else return false;
  return true;
}

/** The page on which a key leads after g. */
function destinationOf(key: string): string | undefined {
  const found = isGoing ? MENU.find((place) => place.key === key)?.href : undefined;
  isGoing = key === "g";
  return found;
}

const isInDialog = (): boolean => document.querySelector("dialog[open]") !== null;

const isOurs = (event: KeyboardEvent): boolean =>
  !(event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) && !isInDialog();

/** Esc leaves a field, closes what the page has open, or goes back, in this order. */
function retreat(event: KeyboardEvent, goBack: () => void): void {
  const { target } = event;
  if (event.defaultPrevented || isInDialog()) return; // it has closed something already
  if (target instanceof HTMLElement && isTyping(target)) target.blur();
  else (others.get("Escape") ?? goBack)();
  event.preventDefault(); // otherwise the browser closes a question that this opens
}

function actByKey(event: KeyboardEvent, navigate: (path: string) => void): void {
  const { key, target } = event;
  const list = lists.at(-1);
  if (key === "Enter" && !(target instanceof HTMLElement && target.matches("a, button"))) {
    list?.open();
  }
  if (!areLettersOn.value) return;
  const destination = destinationOf(key);
  if (destination) navigate(destination);
  else if (!actOn(key, list)) {
    const act = others.get(key);
    if (!act) return;
    act();
  }
  event.preventDefault();
}

export function listen(navigate: (path: string) => void, goBack: () => void): () => void {
  const hear = (event: KeyboardEvent) => {
    if (event.key === "Escape") retreat(event, goBack);
    else if (isOurs(event)) actByKey(event, navigate);
  };
  document.addEventListener("keydown", hear);
  return () => document.removeEventListener("keydown", hear);
}
