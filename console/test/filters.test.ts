import assert from "node:assert/strict";
import { test } from "node:test";
import { nextSort, readFilters, withFilters } from "../src/lists/filters.ts";

test("filters are read by their names, and others are ignored", () => {
  assert.deepEqual(readFilters("status=FAILED&x=1&code=", ["status", "code"]), {
    status: "FAILED",
  });
});

test("a changed filter leaves the others, and an empty one goes", () => {
  assert.equal(
    withFilters("/runs", "status=FAILED&code=a", { code: "", model: "m 1" }),
    "/runs?model=m+1&status=FAILED",
  );
  assert.equal(withFilters("/runs", "status=FAILED", { status: "" }), "/runs");
});

test("a column is sorted downwards, upwards, then as the service orders", () => {
  assert.equal(nextSort("", "drift"), "-drift");
  assert.equal(nextSort("-drift", "drift"), "drift");
  assert.equal(nextSort("drift", "drift"), "");
  assert.equal(nextSort("-cash", "drift"), "-drift");
});
