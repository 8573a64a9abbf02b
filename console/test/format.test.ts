import assert from "node:assert/strict";
import { test } from "node:test";
import { count, duration, fullPercent, money, percent, points, quantity } from "../src/format.ts";

test("amounts have groups and two decimals, rounded half away from zero", () => {
  assert.equal(money("12345678901234567890.125"), "12,345,678,901,234,567,890.13");
  assert.equal(money("-0.005"), "−0.01");
  assert.equal(money(null), "–");
});

test("weights are percentages to the digit", () => {
  assert.equal(percent("0.055"), "5.50");
  assert.equal(fullPercent("0.0550"), "5.5");
  assert.equal(points("0.00125"), "+0.13");
  assert.equal(points("-0.00001"), "0.00");
  assert.equal(percent("1/3"), "1/3");
});

test("counts, quantities and times have one form", () => {
  assert.equal(count(1380), "1,380");
  assert.equal(quantity("1234567.000100"), "1,234,567.000100");
  assert.equal(duration(2.24), "2.2 s");
  assert.equal(duration(3725), "1 h 2 min");
  assert.equal(duration(null), "–");
});
