// Apply functions of exact.ts: lines of JSON in, such as ["add", "1", "2"], lines of JSON out.
import { createInterface } from "node:readline";
import * as exact from "../src/exact.ts";

const functions = exact as unknown as Record<string, (...given: unknown[]) => unknown>;

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...given] = JSON.parse(line) as [string, ...unknown[]];
  console.log(JSON.stringify(functions[name]?.(...given)));
}
