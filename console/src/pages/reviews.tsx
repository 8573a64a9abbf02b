/** All proposals, the newest first: which wait for approval, and what became of others. */

import { Link, useLocation, useSearch } from "wouter-preact";
import { list } from "../api.ts";
import { count } from "../format.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Listed } from "../lists/listed.tsx";
import { usePages } from "../lists/pages.ts";
import { Page, Status, Time } from "../parts.tsx";
import type { Proposal } from "../review/proposals.ts";

const STATES = ["PROPOSED", "APPROVED", "ORDERED", "REJECTED", "WITHDRAWN", "STALE"];
const href = (row: Proposal) => `/review/${row.rebalance_id}`;

const COLUMNS: Column<Proposal>[] = [
  {
    key: "model",
    head: "Model",
    width: "minmax(9rem, 16rem)",
    cell: (row) => <Link href={href(row)}>{row.model_name}</Link>,
  },
  { key: "status", head: "Status", width: "8rem", cell: (row) => <Status value={row.status} /> },
  {
    key: "approvals",
    head: "Approvals",
    width: "6rem",
    cell: (row) => `${row.approvals.length} of ${row.required_approvals}`,
  },
  {
    key: "portfolios",
    head: "Portfolios",
    width: "6rem",
    isNumber: true,
    cell: (row) => count(row.number_of_portfolios),
  },
  {
    key: "holds",
    head: "Held",
    width: "4rem",
    isNumber: true,
    cell: (row) => count(row.number_of_holds),
  },
  { key: "by", head: "Proposed by", width: "8rem", cell: (row) => row.proposed_by },
  { key: "at", head: "Proposed", width: "11rem", cell: (row) => <Time value={row.proposed_at} /> },
  {
    key: "note",
    head: "Note",
    width: "minmax(8rem, 1fr)",
    cell: (row) => <span title={row.note ?? ""}>{row.ending?.reason ?? row.note}</span>,
  },
];

export function ReviewsPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const { status = "" } = readFilters(search, ["status"]);
  const rows = usePages<Proposal>(`proposals ${status}`, (offset, limit, signal) =>
    list("/api/v1/proposals", { query: { status, offset, limit }, signal }),
  );
  return (
    <Page
      title="Review"
      meta={<span class="muted">{count(rows.total)} proposals to send orders</span>}
      actions={
        <label class="inline">
          Status
          <select
            value={status}
            onChange={(event) =>
              navigate(withFilters("/review", search, { status: event.currentTarget.value }))
            }
          >
            <option value="">all</option>
            {STATES.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      }
    >
      <Listed rows={rows} empty="No proposal. A rebalance is proposed from its review.">
        {(total) => (
          <Grid
            label="Proposals"
            columns={COLUMNS}
            total={total}
            rowAt={rows.rowAt}
            keyOf={(row) => row.proposal_id}
            href={href}
            onWindow={rows.onWindow}
          />
        )}
      </Listed>
    </Page>
  );
}
