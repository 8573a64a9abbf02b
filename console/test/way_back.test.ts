import assert from "node:assert/strict";
import { test } from "node:test";
import { above, Ways } from "../src/way_back.ts";

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
  const ways = new Ways();
  ways.remember("/console/rebalance/1?status=FAILED", `${PLAN}?view=distance`);

  assert.equal(ways.take(PLAN), "/console/rebalance/1?status=FAILED");
  assert.equal(ways.take(PLAN), "/console/rebalance/1");
});

test("the page beside another one leads back to the list of both", () => {
  const ways = new Ways();
  const next = "/console/rebalance/1/portfolio/b";
  ways.remember("/console/book?sort_by=name", PLAN);
  ways.remember(PLAN, next, true);

  assert.equal(ways.take(next), "/console/book?sort_by=name");
});

test("another filter of the same page is no way to it", () => {
  const ways = new Ways();
  ways.remember("/console/book", "/console/rebalance/1");
  ways.remember("/console/rebalance/1", "/console/rebalance/1?status=FAILED");

  assert.equal(ways.take("/console/rebalance/1"), "/console/book");
});

test("the pages that were left long ago are forgotten", () => {
  const ways = new Ways();
  for (let each = 0; each < 102; each += 1) ways.remember("/console/book", `/console/runs/${each}`);

  assert.equal(ways.take("/console/runs/0"), "/console/runs");
  assert.equal(ways.take("/console/runs/101"), "/console/book");
});
