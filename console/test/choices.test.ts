import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, moved, parseNames } from "../src/lists/choices.ts";

test("names of columns are read as they were stored", () => {
  assert.deepEqual(parseNames('["cash","drift"]'), ["cash", "drift"]);
  assert.deepEqual(parseNames(null), []);
});

test("what is no list of names names nothing", () => {
  const many = JSON.stringify(Array.from({ length: 101 }, (_, each) => `column ${each}`));
  for (const text of ["", "{", "null", "7", '{"cash":true}', '["cash",7]', '[["cash"]]', many]) {
    assert.deepEqual(parseNames(text), []);
  }
});

test("columns stand in the chosen order, and those that it does not name after them", () => {
  const given = ["cash", "drift", "model", "status"].map((key) => ({ key }));
  const keys = (names: string[]) => arrange(given, names).map(({ key }) => key);

  assert.deepEqual(keys([]), ["cash", "drift", "model", "status"]);
  assert.deepEqual(keys(["model", "gone", "cash"]), ["model", "cash", "drift", "status"]);
});

test("a column moves by one place, never beyond an end, and back to what needs no memory", () => {
  const usual = ["cash", "drift", "model"];

  assert.deepEqual(moved(usual, usual, "model", -1), ["cash", "model", "drift"]);
  assert.deepEqual(moved(usual, ["cash", "model", "drift"], "model", -1), [
    "model",
    "cash",
    "drift",
  ]);
  assert.deepEqual(moved(usual, ["drift", "cash", "model"], "drift", -1), [
    "drift",
    "cash",
    "model",
  ]);
  assert.deepEqual(moved(usual, ["cash", "model", "drift"], "model", 1), []);
});
