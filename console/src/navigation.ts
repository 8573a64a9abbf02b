/** Ways between pages: where Esc leads back to, and what must not be lost by leaving. */

import { signal } from "@preact/signals";
import type { AroundNavHandler } from "wouter-preact";
import { ways } from "./way_back.ts";

/** States of a navigation: to the page beside this one, from which Esc leads to the same list, and by Esc. */
export const BESIDE = "beside";
export const BACK = "back";

/** Leaves the page, once somebody agrees to lose what is typed. */
export const leaving = signal<(() => void) | undefined>();
const unsaved = new Set<symbol>();

/** Ask before the page is left until the returned function is called. */
export function holdUnsaved(): () => void {
  const mark = Symbol("unsaved");
  const ask = (event: BeforeUnloadEvent) => event.preventDefault();
  unsaved.add(mark);
  addEventListener("beforeunload", ask);
  return () => {
    unsaved.delete(mark);
    removeEventListener("beforeunload", ask);
  };
}

/** Every navigation but those of the browser itself. */
export const aroundNav: AroundNavHandler = (navigate, to, options) => {
  const go = () => {
    const from = location.pathname + location.search;
    if (options?.state !== BACK) ways.remember(from, to, options?.state === BESIDE);
    navigate(to, options);
  };
  if (unsaved.size) leaving.value = go;
  else go();
};
