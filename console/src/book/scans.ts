/** The last scan of the book that is whole, and the newest one while it goes on. */

import { useEffect } from "preact/hooks";
import { list, type Schema, write } from "../api.ts";
import { useAction, useResource } from "../resource.ts";

export type Scan = Schema<"DriftScanAnswer">;
const LOOK_MS = 1000;

async function readScans(signal: AbortSignal) {
  const path = "/api/v1/drift-scans";
  const [newest, completed] = await Promise.all([
    list(path, { query: { limit: 1 }, signal }),
    list(path, { query: { limit: 1, status: "COMPLETED" }, signal }),
  ]);
  return { newest: newest.rows[0], completed: completed.rows[0] };
}

export function useScans() {
  const scans = useResource("drift scans", readScans);
  const { error: refusal, run } = useAction();
  const goesOn = scans.value?.newest?.status === "RUNNING";
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(() => {
      if (!document.hidden) scans.reload();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [goesOn, scans.reload]);
  const measure = () =>
    run(async () => {
      await write<Scan>("POST", "/api/v1/drift-scans");
      scans.reload();
    });
  return { scans, goesOn, measure, refusal };
}
