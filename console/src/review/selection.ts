/** Portfolios that are chosen for one decision, with the turnover of each. */

import { useState } from "preact/hooks";
import { list, type Schema } from "../api.ts";
import { sum } from "../exact.ts";
import type { Filters } from "../lists/filters.ts";

type Row = Schema<"OutcomeSummary">;
export const MAX_CHOSEN = 1000; // of one decision

export interface Selection {
  ids: readonly string[];
  has: (id: string) => boolean;
  toggle: (row: Row) => void;
  /** Choose a row and those between it and the row that was chosen last. */
  extend: (rows: readonly Row[]) => void;
  chooseMatching: () => Promise<void>;
  clear: () => void;
  turnover: string;
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

export function useSelection(rebalanceId: string, filters: Filters): Selection {
  const [chosen, setChosen] = useState<ReadonlyMap<string, string>>(new Map());
  const withRows = (rows: readonly Row[]) => {
    const next = new Map(chosen);
    for (const row of rows) {
      if (next.size < MAX_CHOSEN) next.set(row.portfolio_id, row.turnover);
    }
    setChosen(next);
  };
  return {
    ids: [...chosen.keys()],
    has: (id) => chosen.has(id),
    toggle: (row) => {
      const next = new Map(chosen);
      if (next.delete(row.portfolio_id)) setChosen(next);
      else withRows([row]);
    },
    extend: withRows,
    chooseMatching: async () => {
      const { rows } = await readTrading(rebalanceId, filters, 0, MAX_CHOSEN);
      setChosen(new Map(rows.map((row) => [row.portfolio_id, row.turnover])));
    },
    clear: () => setChosen(new Map()),
    turnover: sum(chosen.values()),
  };
}
