/** Edits of a model as changes of single values, which can be shown, and made again on a newer version. */

import type { Row } from "./rules.ts";

export interface Change {
  security_id: string;
  field: "target" | "low_drift" | "high_drift" | "position";
  was: string | undefined; // undefined for a position that was not there
  now: string | undefined; // undefined for a position that is taken out
}

export const FIELDS = ["target", "low_drift", "high_drift"] as const;
const words = (row: Row) => `${row.target} −${row.low_drift} +${row.high_drift}`;

export function changesOf(before: readonly Row[], after: readonly Row[]): Change[] {
  const was = new Map(before.map((row) => [row.security_id, row]));
  const now = new Map(after.map((row) => [row.security_id, row]));
  const found: Change[] = [];
  for (const [security_id, row] of was) {
    const other = now.get(security_id);
    if (!other) found.push({ security_id, field: "position", was: words(row), now: undefined });
    for (const field of other ? FIELDS : []) {
      if (other && row[field] !== other[field]) {
        found.push({ security_id, field, was: row[field], now: other[field] });
      }
    }
  }
  for (const [security_id, row] of now) {
    if (!was.has(security_id)) {
      found.push({ security_id, field: "position", was: undefined, now: words(row) });
    }
  }
  return found;
}

/** The rows of another version with one's own changes made on them. */
export function replay(theirs: readonly Row[], was: readonly Row[], mine: readonly Row[]): Row[] {
  const changes = changesOf(was, mine);
  const gone = new Set(
    changes.filter(({ now }) => now === undefined).map(({ security_id }) => security_id),
  );
  const rows = theirs
    .filter(({ security_id }) => !gone.has(security_id))
    .map((row) => ({ ...row }));
  const known = new Map(rows.map((row) => [row.security_id, row]));
  const own = new Map(mine.map((row) => [row.security_id, row]));
  for (const { security_id, field, now } of changes) {
    const row = known.get(security_id);
    const added = own.get(security_id);
    if (field !== "position" && row && now !== undefined) row[field] = now;
    else if (field === "position" && added && !row) rows.push({ ...added });
  }
  return rows;
}

/** Rows pasted from a spreadsheet: id, target and one or two drifts, by tabs, commas or semicolons. */
export function parsePasted(text: string): Row[] {
  const rows: Row[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [security_id = "", target = "", low_drift = "0", high_drift = low_drift] = line
      .split(/[\t;,]/)
      .map((cell) => cell.trim());
    if (security_id && target) rows.push({ security_id, target, low_drift, high_drift });
  }
  return rows;
}
