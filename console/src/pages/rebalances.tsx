/** Rebalances in a table: one row a model. */

import { Link } from "wouter-preact";
import { Stacked } from "../charts/stacked.tsx";
import { count } from "../format.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Id, Status, Time } from "../parts.tsx";
import type { Rebalance } from "./rebalance.tsx";

const href = (row: Rebalance) => `/rebalance/${row.rebalance_id}`;

const COLUMNS: Column<Rebalance>[] = [
  {
    key: "model",
    head: "Model",
    width: "minmax(9rem, 16rem)",
    cell: (row) => <Link href={href(row)}>{row.model_name}</Link>,
  },
  { key: "id", head: "Rebalance", width: "8.5rem", cell: (row) => <Id value={row.rebalance_id} /> },
  { key: "status", head: "Status", width: "8rem", cell: (row) => <Status value={row.status} /> },
  {
    key: "begun",
    head: "Begun",
    width: "11rem",
    cell: (row) => <Time value={row.rebalance_date} />,
  },
  {
    key: "outcomes",
    head: "Outcomes",
    width: "minmax(8rem, 1fr)",
    cell: (row) => <Stacked counts={row.counts} total={row.number_of_portfolios} isSmall />,
  },
  {
    key: "portfolios",
    head: "Portfolios",
    width: "6rem",
    isNumber: true,
    cell: (row) => count(row.number_of_portfolios),
  },
  {
    key: "planless",
    head: "Without a plan",
    width: "7.5rem",
    isNumber: true,
    cell: (row) => count((row.counts["INFEASIBLE"] ?? 0) + (row.counts["FAILED"] ?? 0)),
  },
  {
    key: "review",
    head: "Orders",
    width: "4.5rem",
    cell: (row) => <Link href={`/review/${row.rebalance_id}`}>Review</Link>,
  },
  {
    key: "compare",
    head: "Other plans",
    width: "6rem",
    cell: (row) => <Link href={`${href(row)}/compare`}>Compare</Link>,
  },
];

export function RebalanceGrid({ rows, label }: { rows: readonly Rebalance[]; label: string }) {
  return (
    <Grid
      label={label}
      columns={COLUMNS}
      total={rows.length}
      rowAt={(index) => rows[index]}
      keyOf={(row) => row.rebalance_id}
      href={href}
    />
  );
}
