/** The trades of one portfolio, each to hold or to release. */

import { useLayoutEffect } from "preact/hooks";
import { Link } from "wouter-preact";
import { read, type Schema } from "../api.ts";
import { isDecimal, subtract } from "../exact.ts";
import { count, money, percent, points, quantity, whole } from "../format.ts";
import { onKey } from "../keys.ts";
import { type NameOf, securityColumn } from "../lists/columns.tsx";
import { type Column, Grid } from "../lists/grid.tsx";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Loaded, ScopedButton, Section, Status } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { type Holds, holdWords, type Trade } from "./proposals.ts";

type Position = Schema<"PositionDetail">;

export function Trades(props: {
  rebalanceId: string;
  portfolioId: string;
  holds: Holds;
  isOpen: boolean;
  onHold: (trade: Trade, words: string) => void;
  onRelease: (trade: Trade, words: string) => void;
  onClose: () => void;
}) {
  const { rebalanceId, portfolioId, onClose } = props;
  useLayoutEffect(() => onKey("Escape", onClose));
  const outcome = useResource(`trades ${rebalanceId} ${portfolioId}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/portfolio/{portfolio_id}", {
      path: { rebalance_id: rebalanceId, portfolio_id: portfolioId },
      signal,
    }),
  );
  const name = usePortfolioNames([portfolioId])(portfolioId) ?? portfolioId;
  return (
    <Section
      title={`Trades of ${name}`}
      note={count(outcome.value?.transactions)}
      aside={
        <>
          <Link href={`/rebalance/${rebalanceId}/portfolio/${encodeURIComponent(portfolioId)}`}>
            its plan
          </Link>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </>
      }
    >
      <Loaded of={outcome} lines={6}>
        {({ positions }) => (
          <TradeGrid
            {...props}
            rows={positions.filter(({ transaction_type }) => transaction_type !== null)}
          />
        )}
      </Loaded>
    </Section>
  );
}

const distance = (position: Position): string =>
  // A target may be a fraction, whose distance has no decimal.
  isDecimal(position.target) ? points(subtract(position.original_weight, position.target)) : "–";

/** What every list of trades shows of one. */
export function tradeColumns(tickerOf: NameOf): Column<Position>[] {
  return [
    securityColumn(tickerOf, "7rem"),
    {
      key: "side",
      head: "Side",
      width: "4rem",
      cell: (row) => row.transaction_type && <Status value={row.transaction_type} />,
    },
    number("quantity", "Quantity", (row) => quantity(row.trade_quantity)),
    number("price", "Price", (row) => quantity(row.price)),
    {
      ...number("amount", "Amount", (row) => (
        <span title={whole(row.trade_amount)}>{money(row.trade_amount)}</span>
      )),
      width: "6.5rem",
      isSortable: true,
    },
    number("before", "Current %", (row) => percent(row.original_weight)),
    number("target", "Target %", (row) => percent(row.target)),
    { ...number("drift", "Drift pp", distance), width: "6rem", isSortable: true },
    number("after", "After %", (row) => percent(row.actual)),
    {
      key: "band",
      head: "Band",
      width: "8rem",
      cell: (row) => `${row.original_side ?? "inside"} to ${row.side ?? "inside"}`,
    },
  ];
}

function TradeGrid(props: Parameters<typeof Trades>[0] & { rows: Position[] }) {
  const { rows, holds, portfolioId, isOpen } = props;
  const tickerOf = useTickers(rows.map(({ security_id }) => security_id));
  const columns: Column<Position>[] = [
    ...tradeColumns(tickerOf),
    {
      key: "held",
      head: "Held",
      width: "minmax(9rem, 1fr)",
      cell: (row) => {
        const hold = holds.ofTrade(portfolioId, row.security_id) ?? holds.ofPortfolio(portfolioId);
        return hold && <span title={holdWords(hold)}>{holdWords(hold)}</span>;
      },
    },
  ];
  if (isOpen) {
    columns.push({
      key: "act",
      head: "Decide",
      width: "5.6rem",
      cell: (row) => {
        const trade = { portfolio_id: portfolioId, security_id: row.security_id };
        const ticker = tickerOf(row.security_id) ?? row.security_id;
        const words = `${row.transaction_type} ${quantity(row.trade_quantity)} ${ticker}`;
        const isHeld = holds.ofTrade(portfolioId, row.security_id) !== undefined;
        const act = isHeld ? props.onRelease : props.onHold;
        return (
          <ScopedButton
            scope="approvals:decide"
            aria-label={`${isHeld ? "Release" : "Hold"} ${words}`}
            onClick={() => act(trade, words)}
          >
            {isHeld ? "Release" : "Hold"}
          </ScopedButton>
        );
      },
    });
  }
  return (
    <Grid
      label="Trades"
      columns={columns}
      total={rows.length}
      rowAt={(index) => rows[index]}
      keyOf={(row) => row.security_id}
    />
  );
}

const number = (key: string, head: string, cell: Column<Position>["cell"]): Column<Position> => ({
  key,
  head,
  width: "5.3rem",
  isNumber: true,
  cell,
});
