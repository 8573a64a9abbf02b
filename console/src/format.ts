/** One form for each kind of value, on every page. */

import { signal } from "@preact/signals";
import { compare, isDecimal, round, shift, trim } from "./exact.ts";

export const NONE = "–";
const MINUS = "−";

const grouped = (text: string): string => {
  const [whole = "", fraction] = text.replace("-", MINUS).split(".");
  const groups = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? groups : `${groups}.${fraction}`;
};

const present = (text: string | null | undefined, form: (text: string) => string): string => {
  if (text === null || text === undefined) return NONE;
  return isDecimal(text) ? form(text) : text; // a fraction such as 1/3 stays as it was given
};

/** Whether amounts, shares and prices are covered, as for somebody who looks over a shoulder. */
export const areAmountsHidden = signal(globalThis.localStorage?.getItem("amounts") === "hidden");
const COVER = "•••";
const unlessHidden = (shown: string): string =>
  areAmountsHidden.value && shown !== NONE ? COVER : shown;

/** An amount with two decimals, also where amounts are hidden: of what is about to be sent. */
export const openMoney = (text: string | null | undefined): string =>
  present(text, (each) => grouped(round(each, 2)));

/** An amount with two decimals; the whole value belongs into the title. */
export const money = (text: string | null | undefined): string => unlessHidden(openMoney(text));

/** The whole value of an amount, for its title. */
export const whole = (text: string | null | undefined): string | undefined =>
  areAmountsHidden.value ? undefined : (text ?? undefined);

/** All digits of a quantity or a price. */
export const quantity = (text: string | null | undefined): string =>
  unlessHidden(present(text, grouped));

/** A weight in percent: 0.055 is 5.50. */
export const percent = (text: string | null | undefined, places = 2): string =>
  present(text, (each) => grouped(round(shift(each, 2), places)));

/** A weight in percent with the digits that it has: 0.055 is 5.5. */
export const fullPercent = (text: string | null | undefined): string =>
  present(text, (each) => grouped(trim(shift(each, 2))));

/** A difference of weights in percentage points, with its sign. */
export const points = (text: string | null | undefined): string =>
  present(text, (each) => {
    const rounded = round(shift(each, 2), 2);
    if (compare(rounded, "0") === 0) return "0.00";
    return rounded.startsWith("-") ? grouped(rounded) : `+${grouped(rounded)}`;
  });

export const count = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : grouped(String(value));

export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return value >= 100 ? count(Math.round(value)) : value.toFixed(1);
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${count(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

export const seconds = (from: string | null, to: string | number): number =>
  from === null ? 0 : Math.max(0, (new Date(to).getTime() - new Date(from).getTime()) / 1000);

export type Zone = "local" | "UTC";
export const zone = signal<Zone>(
  globalThis.localStorage?.getItem("zone") === "UTC" ? "UTC" : "local",
);

/** A moment in the chosen zone: 2026-11-27 09:31:05. */
export function moment(text: string | null | undefined): string {
  if (!text) return NONE;
  const options = zone.value === "UTC" ? { timeZone: "UTC" } : {};
  return new Date(text).toLocaleString("sv-SE", options);
}

export const shortId = (id: string): string =>
  id.length > 16 ? `${id.slice(0, 6)}…${id.slice(-4)}` : id;
