/** The table of portfolios that trade: what their rules say, and which are held. */

import { useRef } from "preact/hooks";
import type { Schema } from "../api.ts";
import { count, money, percent, whole } from "../format.ts";
import { ChosenGrid } from "../lists/column_menu.tsx";
import { portfolioColumn } from "../lists/columns.tsx";
import type { Column } from "../lists/grid.tsx";
import { type PagedRows, useShown } from "../lists/pages.ts";
import { usePortfolioNames } from "../names.ts";
import { Status } from "../parts.tsx";
import { type Holds, holdWords } from "./proposals.ts";
import { selectColumn } from "./select_column.tsx";
import type { Selection } from "./selection.ts";

type Row = Schema<"OutcomeSummary">;

const amount = (key: string, head: string, of: (row: Row) => string | null): Column<Row> => ({
  key,
  head,
  width: "7.5rem",
  isNumber: true,
  isSortable: true,
  cell: (row) => <span title={whole(of(row))}>{money(of(row))}</span>,
});

export function PortfolioGrid(props: {
  rows: PagedRows<Row>;
  holds: Holds;
  selection: Selection<Row> | undefined;
  current: number;
  onCurrent: (index: number) => void;
  hrefOf: (portfolioId: string) => string;
  sort: string;
  onSort: (sort: string) => void;
}) {
  const { rows, holds, selection } = props;
  const last = useRef<number>();
  const { shown, onWindow } = useShown(rows);
  const nameOf = usePortfolioNames(shown.map((row) => row.portfolio_id));
  const wordsOf = (row: Row) => nameOf(row.portfolio_id) ?? row.portfolio_id;
  const columns: Column<Row>[] = [
    portfolioColumn(nameOf, "minmax(9rem, 14rem)", props.hrefOf),
    amount("market_value", "Market value", (row) => row.market_value),
    amount("cash_after_rebalance", "Cash after", (row) => row.cash_after_rebalance),
    {
      key: "trades",
      head: "Trades",
      width: "4rem",
      isNumber: true,
      cell: (row) => count(row.transactions),
    },
    { ...amount("turnover", "Turnover", (row) => row.turnover), isSortable: false },
    {
      key: "drift",
      head: "Drift %",
      width: "8rem",
      isNumber: true,
      cell: (row) =>
        `${percent(row.before?.total_drift_weight)} to ${percent(row.after?.total_drift_weight)}`,
    },
    {
      key: "rules",
      head: "Rules",
      width: "minmax(7rem, 1fr)",
      cell: (row) => <Rules row={row} />,
    },
    {
      key: "held",
      head: "Held",
      width: "minmax(8rem, 1fr)",
      cell: ({ portfolio_id: id }) => <HeldWords holds={holds} id={id} />,
    },
  ];
  if (selection) columns.unshift(selectColumn(selection, rows, wordsOf, last));
  return (
    <ChosenGrid
      list="review portfolios"
      label="Portfolios that trade"
      columns={columns}
      rows={rows}
      keyOf={(row) => row.portfolio_id}
      href={(row) => props.hrefOf(row.portfolio_id)}
      onWindow={onWindow}
      sort={props.sort}
      onSort={props.onSort}
      current={props.current}
      onCurrent={props.onCurrent}
      onSelect={(row) => selection?.toggle(row)}
    />
  );
}

function HeldWords({ holds, id }: { holds: Holds; id: string }) {
  const hold = holds.ofPortfolio(id);
  if (hold) return <span title={holdWords(hold)}>{holdWords(hold)}</span>;
  const trades = holds.tradesOf(id);
  return trades ? <span>{count(trades)} trades held</span> : null;
}

/** The worst result with the rules that have it; nothing where no rule was in force. */
function Rules({ row }: { row: Row }) {
  const results = row.rules ?? [];
  const worst = ["BLOCK", "WARN", "PASS"].find((each) =>
    results.some(({ result }) => result === each),
  );
  if (!worst) return null;
  const names = results.filter(({ result }) => result === worst).map(({ name }) => name);
  const all = results.map(({ name, result, value, limit, without_volume }) =>
    without_volume
      ? `${name}: ${result}, no volume of ${without_volume.join(", ")}`
      : `${name}: ${result}, ${value} against ${limit}`,
  );
  return (
    <span title={all.join("\n")}>
      <Status value={worst} /> {worst === "PASS" ? "" : names.join(", ")}
    </span>
  );
}
