import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHidden } from "../src/lists/hidden.ts";

test("names of hidden columns are read as they were stored", () => {
  assert.deepEqual(parseHidden('["cash","drift"]'), ["cash", "drift"]);
  assert.deepEqual(parseHidden(null), []);
});

test("what is no list of names hides nothing", () => {
  const many = JSON.stringify(Array.from({ length: 101 }, (_, each) => `column ${each}`));
  for (const text of ["", "{", "null", "7", '{"cash":true}', '["cash",7]', '[["cash"]]', many]) {
    assert.deepEqual(parseHidden(text), []);
  }
});
