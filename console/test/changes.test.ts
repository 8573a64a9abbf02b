import assert from "node:assert/strict";
import { test } from "node:test";
import { changeOf, changeWords, countChanges, type Order, signed } from "../src/compare/changes.ts";

const order = (
  security_id: string,
  transaction_type: "BUY" | "SELL" | null,
  trade_quantity: string | null = "10",
  trade_amount: string | null = "100.00",
): Order => ({ security_id, transaction_type, trade_quantity, trade_amount });

test("an order of one plan alone was added or dropped, and a holding is no order", () => {
  assert.equal(changeOf(order("A", "BUY"), undefined), "added");
  assert.equal(changeOf(order("A", "BUY"), order("A", null, null, null)), "added");
  assert.equal(changeOf(undefined, order("A", "SELL")), "dropped");
  assert.equal(changeOf(order("A", null, null, null), undefined), undefined);
});

test("an order changed if its side, its quantity or its amount did", () => {
  const bought = order("A", "BUY");
  assert.equal(changeOf(bought, order("A", "BUY", "10.0", "100")), "same");
  assert.equal(changeOf(bought, order("A", "SELL")), "changed");
  assert.equal(changeOf(bought, order("A", "BUY", "11", "100.00")), "changed");
  assert.equal(changeOf(bought, order("A", "BUY", "10", "100.01")), "changed");
});

test("a sale counts as negative, to the last digit", () => {
  assert.equal(signed(order("A", "SELL", "12345678901234567890.5")), "-12345678901234567890.5");
  assert.equal(signed(undefined, "trade_amount"), "0");
});

test("changes of a plan are counted by kind and told without those that are none", () => {
  const here = [order("A", "BUY"), order("B", "BUY"), order("C", "SELL", "3", "9")];
  const there = [order("B", "BUY"), order("C", "SELL"), order("D", "SELL"), order("E", "BUY")];
  const counts = countChanges(here, there);

  assert.deepEqual(counts, { added: 1, dropped: 2, changed: 1, same: 1 });
  assert.equal(changeWords(counts), "1 added, 2 dropped, 1 changed");
  assert.equal(changeWords(countChanges(here, here)), "the same");
});
