import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bin, limitsOf, rangeOf } from "../src/charts/brush.ts";

const bin = (lower: string, upper: string | null): Bin => ({
  lower,
  upper,
  portfolios: 1,
  out_of_band: 0,
});
const BINS = [bin("0.00", "0.05"), bin("0.05", "0.10"), bin("0.10", "0.15"), bin("0.15", null)];

test("without limits all bins are in the range", () => {
  assert.deepEqual(rangeOf(BINS, "", ""), [0, 4]);
});

test("the limits of a range lead back to the range", () => {
  for (let first = 0; first < BINS.length; first += 1) {
    for (let end = first + 1; end <= BINS.length; end += 1) {
      const [from, to] = limitsOf(BINS, [first, end]);
      assert.deepEqual(rangeOf(BINS, from, to), [first, end]);
    }
  }
});

test("a range to either end has no limit there, and the same number may be written otherwise", () => {
  assert.deepEqual(limitsOf(BINS, [0, 2]), ["", "0.10"]);
  assert.deepEqual(limitsOf(BINS, [3, 4]), ["0.15", ""]);
  assert.deepEqual(rangeOf(BINS, "0.050", "0.1"), [1, 2]);
});

test("limits inside a bin take the whole bin in, and limits beyond all bins none of them", () => {
  assert.deepEqual(rangeOf(BINS, "0.06", "0.07"), [1, 2]);
  assert.deepEqual(rangeOf(BINS.slice(0, 3), "0.20", ""), [3, 3]);
});
