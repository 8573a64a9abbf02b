/** Who changed what, when, and from what to what: the entries of the audit log. */

import { useLocation, useSearch } from "wouter-preact";
import { list, type Schema } from "../api.ts";
import { count } from "../format.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Listed } from "../lists/listed.tsx";
import { usePages } from "../lists/pages.ts";
import { Id, Page, Time } from "../parts.tsx";

type Entry = Schema<"AuditEntryAnswer">;
const FILTERS = ["principal", "action", "object_type", "object_id"] as const;
const WORDS = { principal: "Who", action: "Action", object_type: "Kind", object_id: "Object id" };

const COLUMNS: Column<Entry>[] = [
  { key: "seq", head: "No", width: "3rem", isNumber: true, cell: (entry) => count(entry.seq) },
  { key: "at", head: "When", width: "11rem", cell: (entry) => <Time value={entry.at} /> },
  { key: "who", head: "Who", width: "7rem", cell: (entry) => who(entry) },
  { key: "action", head: "Action", width: "8.5rem", cell: (entry) => <code>{entry.action}</code> },
  {
    key: "object",
    head: "Object",
    width: "12.5rem",
    cell: (entry) => (
      <>
        {entry.object_type} <Id value={entry.object_id} />
      </>
    ),
  },
  { key: "outcome", head: "Outcome", width: "5rem", cell: (entry) => entry.outcome },
  {
    key: "diff",
    head: "Change",
    width: "minmax(12rem, 1fr)",
    cell: (entry) => {
      const text = entry.diff ? JSON.stringify(entry.diff) : "";
      return <span title={text}>{text}</span>;
    },
  },
  {
    key: "correlation",
    head: "Correlation id",
    width: "9rem",
    cell: (entry) => entry.correlation_id && <Id value={entry.correlation_id} />,
  },
];

const who = ({ principal, on_behalf_of }: Entry): string =>
  on_behalf_of ? `${principal} for ${on_behalf_of}` : (principal ?? "unknown");

export function HistoryPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const filters = readFilters(search, FILTERS);
  const rows = usePages<Entry>(`audit ${JSON.stringify(filters)}`, (offset, limit, signal) =>
    list("/api/v1/audit", { query: { ...filters, sort_by: "-seq", offset, limit }, signal }),
  );
  return (
    <Page title="History" meta={<span class="muted">{count(rows.total)} entries</span>}>
      <div class="fields">
        {FILTERS.map((name) => (
          <label key={name}>
            {WORDS[name]}
            <input
              value={filters[name] ?? ""}
              onChange={(event) => {
                const value = event.currentTarget.value.trim();
                navigate(withFilters("/history", search, { [name]: value }));
              }}
            />
          </label>
        ))}
      </div>
      <Listed rows={rows} empty="No entry matches." lines={10}>
        {(total) => (
          <Grid
            label="History"
            columns={COLUMNS}
            total={total}
            rowAt={rows.rowAt}
            keyOf={(entry) => entry.entry_id}
            onWindow={rows.onWindow}
          />
        )}
      </Listed>
    </Page>
  );
}
