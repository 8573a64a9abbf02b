/** A range of the bins of a histogram, and the filter that it stands for. */

import type { Schema } from "../api.ts";
import { compare } from "../exact.ts";

export type Bin = Schema<"BinAnswer">;
/** Places of the first bin and of the one after the last. */
export type Range = readonly [number, number];

/** The range of bins that a filter names; all of them without one. */
export function rangeOf(bins: readonly Bin[], from: string, to: string): Range {
  const reaches = (edge: string | null, limit: string) => edge !== null && compare(edge, limit) > 0;
  const first = from ? bins.findIndex((bin) => bin.upper === null || reaches(bin.upper, from)) : 0;
  const beyond = to ? bins.findIndex((bin) => compare(bin.lower, to) >= 0) : -1;
  const end = beyond < 0 ? bins.length : beyond;
  return first < 0 ? [bins.length, bins.length] : [first, Math.max(first, end)];
}

/** The filter of a range of bins; no limit where the range goes to the end. */
export function limitsOf(bins: readonly Bin[], [first, end]: Range): [string, string] {
  return [first > 0 ? (bins[first]?.lower ?? "") : "", bins[end]?.lower ?? ""];
}
