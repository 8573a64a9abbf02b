/** The portfolios of two rebalances, side by side. */

import { useMemo } from "preact/hooks";
import { count, money } from "../format.ts";
import { ChosenGrid } from "../lists/column_menu.tsx";
import { portfolioColumn } from "../lists/columns.tsx";
import type { Column } from "../lists/grid.tsx";
import { type PagedRows, useShown } from "../lists/pages.ts";
import { useLookup } from "../lookup.ts";
import { usePortfolioNames } from "../names.ts";
import { Status } from "../parts.tsx";
import { changeWords } from "./changes.ts";
import { changesBetween, type Outcome, type Pair } from "./pairs.ts";

const both = (pair: Pair, of: (outcome: Outcome) => string): string => {
  const [here, there] = [pair.here, pair.there].map((each) => (each ? of(each) : "–"));
  return here === there ? `${here}` : `${there} to ${here}`;
};

const figure = (
  key: string,
  head: string,
  width: string,
  of: (outcome: Outcome) => string,
): Column<Pair> => ({ key, head, width, isNumber: true, cell: (pair) => both(pair, of) });

export function PairGrid(props: {
  here: string;
  there: string;
  rows: PagedRows<Pair>;
  hrefOf: (portfolioId: string) => string;
}) {
  const { here, there, rows } = props;
  const { shown, onWindow } = useShown(rows);
  const ids = shown.map((row) => row.portfolio_id);
  const nameOf = usePortfolioNames(ids);
  const changes = useMemo(() => changesBetween(here, there), [here, there]);
  const changesOf = useLookup(changes, ids);
  const columns: Column<Pair>[] = [
    portfolioColumn(nameOf, "minmax(8rem, 12rem)", props.hrefOf),
    {
      key: "status",
      head: "Outcome",
      width: "minmax(7.5rem, 16rem)",
      cell: (pair) => <Outcomes pair={pair} />,
    },
    {
      key: "orders",
      head: "Orders",
      width: "minmax(8rem, 1fr)",
      cell: ({ portfolio_id: id }) => {
        const found = changesOf(id);
        if (found) return changeWords(found);
        return found === undefined ? "…" : "–";
      },
    },
    figure("trades", "Trades", "6rem", (each) => count(each.transactions)),
    figure("turnover", "Turnover", "13rem", (each) => money(each.turnover)),
    figure("cash", "Cash after", "13rem", (each) => money(each.cash_after_rebalance)),
    figure("objective", "Objective", "11rem", (each) => money(each.objective)),
  ];
  return (
    <ChosenGrid
      list="compared"
      label="Portfolios compared"
      columns={columns}
      rows={rows}
      keyOf={(row) => row.portfolio_id}
      href={(row) => props.hrefOf(row.portfolio_id)}
      onWindow={onWindow}
    />
  );
}

function Outcomes({ pair }: { pair: Pair }) {
  const { here, there } = pair;
  if (!there) return <>in this alone</>;
  if (!here) return <>in the other alone</>;
  if (here.status === there.status) return <Status value={here.status} />;
  return (
    <span>
      <Status value={there.status} /> to <Status value={here.status} />
    </span>
  );
}
