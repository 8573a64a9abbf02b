import assert from "node:assert/strict";
import { test } from "node:test";
import { above, Origins } from "../src/back_navigation.ts";

const PLAN = "/console/rebalance/1/portfolio/a";

test("each page below a list leads to it, and the pages of the menu lead nowhere", () => {
  assert.equal(above(PLAN), "/console/rebalance/1");
  assert.equal(above("/console/rebalance/1/orders"), "/console/rebalance/1");
  assert.equal(above("/console/rebalance/1"), "/console/runs");
  assert.equal(above("/console/runs/1"), "/console/runs");
  assert.equal(above("/console/review/1"), "/console/review");
  assert.equal(above("/console/model/1"), "/console/models");
  for (const path of ["/console/book", "/console/review", "/console"]) {
    assert.equal(above(path), undefined);
  }
});

test("a page leads back to the address that it was opened from, and then to the list above", () => {
  const origins = new Origins();
  origins.remember("/console/rebalance/1?status=FAILED", `${PLAN}?view=distance`);

  assert.equal(origins.take(PLAN), "/console/rebalance/1?status=FAILED");
  assert.equal(origins.take(PLAN), "/console/rebalance/1");
});

test("the page beside another one leads back to the list of both", () => {
  const origins = new Origins();
  const next = "/console/rebalance/1/portfolio/b";
  origins.remember("/console/book?sort_by=name", PLAN);
  origins.remember(PLAN, next, true);

  assert.equal(origins.take(next), "/console/book?sort_by=name");
});

test("another filter of the same page is no way to it", () => {
  const origins = new Origins();
  origins.remember("/console/book", "/console/rebalance/1");
  origins.remember("/console/rebalance/1", "/console/rebalance/1?status=FAILED");

  assert.equal(origins.take("/console/rebalance/1"), "/console/book");
});

test("the pages that were left long ago are forgotten", () => {
  const origins = new Origins();
  for (let each = 0; each < 102; each += 1)
    origins.remember("/console/book", `/console/runs/${each}`);

  assert.equal(origins.take("/console/runs/0"), "/console/runs");
  assert.equal(origins.take("/console/runs/101"), "/console/book");
});
