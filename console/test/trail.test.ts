import assert from "node:assert/strict";
import { test } from "node:test";
import { beside, leaveTrail, moveTrail } from "../src/lists/trail.ts";

test("the pages beside an opened one are those of the list that it was opened from", () => {
  const hrefs = ["/a", "/b", "/c"];
  leaveTrail((index) => hrefs[index], 1);

  assert.deepEqual([beside("/b", -1), beside("/b", 1)], ["/a", "/c"]);
  moveTrail("/b", 1);
  assert.deepEqual([beside("/c", -1), beside("/c", 1)], ["/b", undefined]);
  moveTrail("/c", 1);
  assert.equal(beside("/c", -1), "/b");
});

test("a page that was not opened from the list has nothing beside it", () => {
  leaveTrail((index) => ["/a", "/b"][index], 0);

  moveTrail("/x", 1);

  assert.deepEqual([beside("/x", -1), beside("/x", 1)], [undefined, undefined]);
  assert.equal(beside("/a", 1), "/b");
});
