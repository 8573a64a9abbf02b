/** What came of portfolios last, looked up for the rows in view. */

import { useMemo } from "preact/hooks";
import { read, type Schema } from "../api.ts";
import { Lookup, useLookup } from "../lookup.ts";

export type Last = Schema<"LastOutcomeAnswer">;
const MAX_IDS = 100; // of one request

/** Every time anew, because a run may have ended since the book was shown last. */
const lastOutcomes = () =>
  new Lookup<Last | "never">(MAX_IDS, async (ids) => {
    const found = await read("/api/v1/portfolios/last-outcomes", { query: { ids } });
    const known = new Map(found.map((each) => [each.portfolio_id, each]));
    return ids.map((id) => [id, known.get(id) ?? "never"]);
  });

/** The newest outcome; "never" without one, undefined while it is read, null without an answer. */
export function useLast(ids: readonly string[]) {
  const lookup = useMemo(lastOutcomes, []);
  return useLookup(lookup, ids);
}
