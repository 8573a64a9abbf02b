import assert from "node:assert/strict";
import { test } from "node:test";
import {
  linesOf,
  placesOf,
  rowsOn,
  segmentAt,
  segmentsOf,
  wholeList,
} from "../src/lists/groups.ts";

const GROUPS = ["BUY", "HOLD", "SELL"].map((value) => ({ value, words: value }));
const TOTALS = new Map([
  ["BUY", 3],
  ["HOLD", 0],
  ["SELL", 2],
]);

test("each group with rows has a line before them, and a closed one has that line alone", () => {
  const open = segmentsOf(GROUPS, TOTALS, new Set());
  assert.deepEqual(
    open.map(({ value, head }) => [value, head]),
    [
      ["BUY", 0],
      ["SELL", 4],
    ],
  );
  assert.equal(linesOf(open), 7);
  const closed = segmentsOf(GROUPS, TOTALS, new Set(["BUY"]));
  assert.deepEqual([closed[1]?.head, linesOf(closed)], [1, 4]);
  assert.equal(segmentAt(open, 3)?.value, "BUY");
  assert.equal(segmentAt(open, 4)?.value, "SELL");
});

test("the rows on some lines are those of the groups that stand there", () => {
  const open = segmentsOf(GROUPS, TOTALS, new Set());
  assert.deepEqual(rowsOn(open, 2, 6), [
    { value: "BUY", from: 1, to: 3 },
    { value: "SELL", from: 0, to: 1 },
  ]);
  const closed = segmentsOf(GROUPS, TOTALS, new Set(["BUY"]));
  assert.deepEqual(rowsOn(closed, 0, 10), [{ value: "SELL", from: 0, to: 2 }]);
  assert.deepEqual(rowsOn(wholeList(10), 4, 99), [{ value: "", from: 4, to: 10 }]);
  assert.equal(linesOf(wholeList(10)), 10);
});

test("every pixel of a line belongs to it, whatever the height of the heads", () => {
  const segments = segmentsOf(GROUPS, TOTALS, new Set());
  for (const rowPx of [32, 234]) {
    for (const [given, headLines] of [
      [segments, [0, 4]],
      [[], []],
    ] as const) {
      const { topOf, lineAt } = placesOf(given, 32, rowPx);
      for (let line = 0; line < 7; line += 1) {
        const height = (headLines as readonly number[]).includes(line) ? 32 : rowPx;
        assert.equal(topOf(line + 1) - topOf(line), height);
        assert.equal(lineAt(topOf(line)), line);
        assert.equal(lineAt(topOf(line) + height - 1), line);
      }
    }
  }
});
