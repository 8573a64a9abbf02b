/** Rows that are chosen for one decision, with the sum of their amounts. */

import { useState } from "preact/hooks";
import { list, type Schema } from "../api.ts";
import { sum } from "../exact.ts";
import type { Filters } from "../lists/filters.ts";

export const MAX_CHOSEN = 1000; // of one decision

export interface Selection<Row> {
  ids: readonly string[];
  rows: readonly Row[];
  has: (row: Row) => boolean;
  toggle: (row: Row) => void;
  /** Choose these rows, too: those between a row and the one that was chosen last. */
  extend: (rows: readonly Row[]) => void;
  chooseMatching: () => Promise<void>;
  clear: () => void;
  amount: string;
}

export interface Selectable<Row> {
  keyOf: (row: Row) => string;
  amountOf: (row: Row) => string;
  readMatching: (limit: number) => Promise<Row[]>;
}

export const readTrading = (
  rebalance_id: string,
  filters: Filters,
  offset: number,
  limit: number,
  signal?: AbortSignal,
) =>
  list("/api/v1/rebalance/{rebalance_id}/outcomes", {
    path: { rebalance_id },
    query: { ...filters, status: "REBALANCED", offset, limit },
    ...(signal && { signal }),
  });

export function useSelection<Row>({
  keyOf,
  amountOf,
  readMatching,
}: Selectable<Row>): Selection<Row> {
  const [chosen, setChosen] = useState<ReadonlyMap<string, Row>>(new Map());
  const withRows = (rows: readonly Row[]) => {
    const next = new Map(chosen);
    for (const row of rows) {
      if (next.size < MAX_CHOSEN) next.set(keyOf(row), row);
    }
    setChosen(next);
  };
  const rows = [...chosen.values()];
  return {
    ids: [...chosen.keys()],
    rows,
    has: (row) => chosen.has(keyOf(row)),
    toggle: (row) => {
      const next = new Map(chosen);
      if (next.delete(keyOf(row))) setChosen(next);
      else withRows([row]);
    },
    extend: withRows,
    chooseMatching: async () => {
      const found = await readMatching(MAX_CHOSEN);
      setChosen(new Map(found.map((row) => [keyOf(row), row])));
    },
    clear: () => setChosen(new Map()),
    amount: sum(rows.map(amountOf)),
  };
}

export const usePortfolioSelection = (rebalanceId: string, filters: Filters) =>
  useSelection<Schema<"OutcomeSummary">>({
    keyOf: (row) => row.portfolio_id,
    amountOf: (row) => row.turnover,
    readMatching: async (limit) => (await readTrading(rebalanceId, filters, 0, limit)).rows,
  });
