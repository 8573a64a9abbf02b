import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { changesOf, parsePasted, replay } from "../src/models/changes.ts";
import { check, type Row, rulesOf } from "../src/models/rules.ts";

const document = JSON.parse(
  readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8"),
);
const rules = rulesOf(document);
const A = "A".repeat(24);
const B = "B".repeat(24);
const row = (
  security_id: string,
  target: string,
  low_drift = "0.01",
  high_drift = "0.01",
): Row => ({
  security_id,
  target,
  low_drift,
  high_drift,
});

test("rows that the service takes have no finding", () => {
  assert.deepEqual(check([row(A, "0.5"), row(B, "0.45", "0", "1")], rules), []);
});

test("a sum is added exactly and compared with what the rules allow", () => {
  const [found] = check([row(A, "0.5"), row(B, "0.455")], rules);

  assert.equal(found?.text, "the targets sum to 95.5 %, at most 95 % are allowed");
});

test("a repeated security is found at its second place", () => {
  const [found] = check([row(A, "0.1"), row(A, "0.2")], rules);

  assert.deepEqual([found?.row, found?.field], [1, "security_id"]);
});

test("changes name a value before and after, and rows that come or go", () => {
  const before = [row(A, "0.1"), row(B, "0.2")];

  assert.deepEqual(changesOf(before, [row(A, "0.15")]), [
    { security_id: A, field: "target", was: "0.1", now: "0.15" },
    { security_id: B, field: "position", was: "0.2 −0.01 +0.01", now: undefined },
  ]);
});

test("one's own changes are made on another version, whose others stay", () => {
  const was = [row(A, "0.1"), row(B, "0.2")];
  const mine = [row(A, "0.15"), row(B, "0.2")];
  const theirs = [row(A, "0.1", "0.02", "0.02"), row(B, "0.25")];

  assert.deepEqual(replay(theirs, was, mine), [row(A, "0.15", "0.02", "0.02"), row(B, "0.25")]);
});

test("rows of a spreadsheet are read with one or two drifts", () => {
  assert.deepEqual(parsePasted(`${A}\t0.1\t0.01\n\n${B};0.2;0.01;0.02\r\n`), [
    row(A, "0.1"),
    row(B, "0.2", "0.01", "0.02"),
  ]);
});
