/** Columns of positions beside the picture. */

import { fullPercent, money, percent, quantity } from "../format.ts";
import type { Column } from "../lists/grid.tsx";
import { Status } from "../parts.tsx";
import type { Position } from "./plan.tsx";

export const number = (
  key: string,
  head: string,
  rem: number,
  cell: (row: Position) => string,
  isOnlyWide = false,
): Column<Position> => ({ key, head, width: `${rem}rem`, isNumber: true, cell, isOnlyWide });

/** Columns of a plan. */
export const PLANNED: Column<Position>[] = [
  number("after", "After %", 3.8, (row) => percent(row.actual)),
  number("price", "Price", 4.2, (row) => quantity(row.price), true),
  number("shares", "Shares after", 5, (row) => quantity(row.adjusted_quantity), true),
  {
    key: "side",
    head: "Side",
    width: "3.6rem",
    cell: (row) => row.transaction_type && <Status value={row.transaction_type} />,
  },
  number("quantity", "Quantity", 4, (row) =>
    row.trade_quantity ? quantity(row.trade_quantity) : "",
  ),
  number("amount", "Amount", 6, (row) => (row.trade_amount ? money(row.trade_amount) : "")),
];

export function bandOf(row: Position): string {
  const [low, high] = [fullPercent(row.low_drift), fullPercent(row.high_drift)];
  return low === high ? low : `${low} / ${high}`;
}
