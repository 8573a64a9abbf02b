/** The portfolios of a rebalance that trade: what their rules say, and which are held. */

import { useEffect, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { list, type Schema } from "../api.ts";
import { count, money, percent } from "../format.ts";
import { onKey } from "../keys.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { usePages } from "../lists/pages.ts";
import { usePortfolioNames } from "../names.ts";
import { Empty, Problem, ScopedButton, Section, Skeleton, Status } from "../parts.tsx";
import { may } from "../session.ts";
import type { Hold, Holds } from "./proposals.ts";

type Row = Schema<"OutcomeSummary">;
const MAX_CHOSEN = 1000; // of one decision

export function TradingPortfolios(props: {
  rebalanceId: string;
  holds: Holds;
  isOpen: boolean; // whether holds may change
  hrefOf: (portfolioId: string) => string;
  onHold: (portfolioIds: string[]) => void;
  onRelease: (portfolioIds: string[]) => void;
}) {
  const { rebalanceId, holds, isOpen } = props;
  const rows = usePages<Row>(`trading ${rebalanceId}`, (offset, limit, signal) =>
    list("/api/v1/rebalance/{rebalance_id}/outcomes", {
      path: { rebalance_id: rebalanceId },
      query: { status: "REBALANCED", offset, limit },
      signal,
    }),
  );
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState(-1);
  const total = rows.total ?? 0;
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id) && next.size < MAX_CHOSEN) next.add(id);
    setChosen(next);
  };
  const atHand = () => {
    const row = rows.rowAt(current);
    return chosen.size ? [...chosen] : row ? [row.portfolio_id] : [];
  };
  const hold = () => {
    const ids = atHand();
    if (isOpen && may("approvals:decide") && ids.length) props.onHold(ids);
  };
  useEffect(() => onKey("h", hold));
  const ids = [...chosen];
  return (
    <Section
      title="Portfolios that trade"
      note={count(rows.total)}
      aside={
        isOpen && (
          <>
            <ScopedButton
              scope="approvals:decide"
              disabled={!ids.length}
              onClick={() => props.onHold(ids)}
            >
              Hold {count(ids.length)} selected
            </ScopedButton>
            <ScopedButton
              scope="approvals:decide"
              disabled={!ids.some((id) => isHeld(holds, id))}
              onClick={() => props.onRelease(ids.filter((id) => isHeld(holds, id)))}
            >
              Release
            </ScopedButton>
          </>
        )
      }
    >
      {rows.error && <Problem error={rows.error} retry={rows.reload} />}
      {rows.total === undefined && !rows.error && <Skeleton lines={8} />}
      {rows.total === 0 && <Empty>No portfolio of this rebalance trades.</Empty>}
      {total > 0 && (
        <PortfolioGrid
          total={total}
          rows={rows}
          holds={holds}
          chosen={isOpen ? chosen : undefined}
          toggle={toggle}
          current={current}
          onCurrent={setCurrent}
          hrefOf={props.hrefOf}
        />
      )}
    </Section>
  );
}

const isHeld = (holds: Holds, id: string) =>
  holds.ofPortfolio(id) !== undefined || holds.tradesOf(id) > 0;

export const holdWords = (hold: Hold) =>
  `held by ${hold.principal}${hold.note ? `: ${hold.note}` : ""}`;

function PortfolioGrid(props: {
  total: number;
  rows: { rowAt: (index: number) => Row | undefined; onWindow: (a: number, b: number) => void };
  holds: Holds;
  chosen: ReadonlySet<string> | undefined;
  toggle: (id: string) => void;
  current: number;
  onCurrent: (index: number) => void;
  hrefOf: (portfolioId: string) => string;
}) {
  const { rows, total, holds, chosen, toggle } = props;
  const seen = Array.from({ length: Math.min(total, 200) }, (_, each) => rows.rowAt(each)).filter(
    (row) => row !== undefined,
  );
  const nameOf = usePortfolioNames(seen.map((row) => row.portfolio_id));
  const columns: Column<Row>[] = [
    {
      key: "portfolio",
      head: "Portfolio",
      width: "minmax(9rem, 14rem)",
      cell: ({ portfolio_id: id }) => (
        <Link href={props.hrefOf(id)} title={id}>
          {nameOf(id) ?? id}
        </Link>
      ),
    },
    {
      key: "trades",
      head: "Trades",
      width: "4rem",
      isNumber: true,
      cell: (row) => count(row.transactions),
    },
    {
      key: "turnover",
      head: "Turnover",
      width: "8rem",
      isNumber: true,
      cell: (row) => <span title={row.turnover}>{money(row.turnover)}</span>,
    },
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
  if (chosen) {
    columns.unshift({
      key: "select",
      head: "Select",
      width: "3rem",
      cell: ({ portfolio_id: id }) => (
        <input
          type="checkbox"
          aria-label={`Select ${nameOf(id) ?? id}`}
          checked={chosen.has(id)}
          onChange={() => toggle(id)}
        />
      ),
    });
  }
  return (
    <Grid
      label="Portfolios that trade"
      columns={columns}
      total={total}
      rowAt={rows.rowAt}
      keyOf={(row) => row.portfolio_id}
      href={(row) => props.hrefOf(row.portfolio_id)}
      onWindow={rows.onWindow}
      current={props.current}
      onCurrent={props.onCurrent}
      onSelect={(row) => chosen && toggle(row.portfolio_id)}
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
