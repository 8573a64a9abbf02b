/** The portfolios of a scan: sorted by the service, chosen one by one or all that match. */

import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import type { Schema } from "../api.ts";
import { toFloat } from "../exact.ts";
import { count, money, percent, points, shortId, whole } from "../format.ts";
import { ChosenGrid } from "../lists/column_menu.tsx";
import { portfolioColumn } from "../lists/columns.tsx";
import type { Column } from "../lists/grid.tsx";
import { type PagedRows, useShown } from "../lists/pages.ts";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Status, Time } from "../parts.tsx";
import { may } from "../session.ts";
import { type Last, useLast } from "./last.ts";
import type { Selection } from "./selection.ts";

export type Line = Schema<"DriftLineAnswer">;
const FULL_BAR = 0.25; // total drift that fills the bar

export function BookGrid(props: {
  rows: PagedRows<Line>;
  sort: string;
  onSort: (sort: string) => void;
  selection: Selection;
  modelName: (id: string) => string | undefined;
  hrefOf: (portfolioId: string) => string;
}) {
  const { rows, selection } = props;
  const { shown, onWindow } = useShown(rows);
  const nameOf = usePortfolioNames(shown.map((row) => row.portfolio_id));
  const tickerOf = useTickers(shown.flatMap((row) => row.largest_deviation?.security_id ?? []));
  const mayReadLast = may("rebalances:read");
  const lastOf = useLast(mayReadLast ? shown.map((row) => row.portfolio_id) : []);
  const columns: Column<Line>[] = [
    {
      key: "select",
      head: "Select",
      width: "3rem",
      isFixed: true,
      cell: ({ portfolio_id: id }) => (
        <input
          type="checkbox"
          aria-label={`Select ${nameOf(id) ?? id}`}
          checked={selection.chosen.has(id)}
          onChange={() => selection.toggle(id)}
        />
      ),
    },
    portfolioColumn(nameOf, "minmax(9rem, 1fr)", props.hrefOf),
    {
      key: "model",
      head: "Model",
      width: "minmax(6.5rem, 10rem)",
      cell: ({ model_id: id }) => (
        <Link href={`/model/${id}`}>{props.modelName(id) ?? shortId(id)}</Link>
      ),
    },
    {
      key: "status",
      head: "Status",
      width: "8.5rem",
      cell: (row) =>
        row.error ? (
          <span title={row.error.detail ?? ""}>
            <Status value={row.status} />
          </span>
        ) : (
          <Status value={row.status} />
        ),
    },
    {
      ...amount("total_drift_weight", "Total drift %", "8rem"),
      cell: (row) => <DriftBar weight={row.total_drift_weight} />,
    },
    {
      ...amount("largest_deviation", "Farthest, pp", "8.5rem"),
      cell: ({ largest_deviation: largest }) =>
        largest
          ? `${tickerOf(largest.security_id) ?? shortId(largest.security_id)} ${points(largest.deviation_weight)}`
          : "–",
    },
    { ...amount("out_of_band", "Out of band", "6.5rem"), cell: (row) => count(row.out_of_band) },
    { ...amount("cash_weight", "Cash %", "5.5rem"), cell: (row) => percent(row.cash_weight) },
    {
      ...amount("market_value", "Market value", "8rem"),
      cell: (row) => <span title={whole(row.market_value)}>{money(row.market_value)}</span>,
    },
    ...(mayReadLast ? lastColumns(lastOf) : []),
  ];
  return (
    <ChosenGrid
      list="book"
      label="Portfolios"
      columns={columns}
      rows={rows}
      keyOf={(row) => row.portfolio_id}
      href={(row) => props.hrefOf(row.portfolio_id)}
      onWindow={onWindow}
      sort={props.sort}
      onSort={props.onSort}
      onSelect={(row) => selection.toggle(row.portfolio_id)}
    />
  );
}

/** The newest outcome of a portfolio, and its date, which leads to the plan. */
function lastColumns(lastOf: (id: string) => Last | "never" | null | undefined): Column<Line>[] {
  const cell = (show: (last: Last) => ComponentChildren) => (row: Line) => {
    const last = lastOf(row.portfolio_id);
    if (last === undefined) return "…";
    if (last === null) return <span title="the service gave no answer">?</span>;
    return last === "never" ? "never" : show(last);
  };
  return [
    {
      key: "last_outcome",
      head: "Last outcome",
      width: "7.2rem",
      cell: cell((last) => <Status value={last.status} />),
    },
    {
      key: "last_run",
      head: "Last run",
      width: "9.6rem",
      cell: cell((last) => (
        <Link
          href={`/rebalance/${last.rebalance_id}/portfolio/${encodeURIComponent(last.portfolio_id)}`}
          title={`${last.model_name}, version ${last.model_version}`}
        >
          <Time value={last.rebalance_date} />
        </Link>
      )),
    },
  ];
}

const amount = (key: string, head: string, width: string) =>
  ({ key, head, width, isNumber: true, isSortable: true }) as const;

function DriftBar({ weight }: { weight: string | null }) {
  if (weight === null) return <>–</>;
  const part = Math.min(1, toFloat(weight) / FULL_BAR);
  return (
    <span class="measured">
      <i aria-hidden="true" style={{ width: `${part * 60}px` }} />
      {percent(weight)}
    </span>
  );
}
