/** The portfolios of a rebalance that trade: filtered, sorted, chosen, held and released. */

import { useLayoutEffect, useState } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import type { Schema } from "../api.ts";
import { count, money } from "../format.ts";
import { onKey } from "../keys.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { Listed, PortfolioIdField } from "../lists/listed.tsx";
import { usePages } from "../lists/pages.ts";
import { ScopedButton, Section } from "../parts.tsx";
import { may } from "../session.ts";
import { PortfolioGrid } from "./portfolio_grid.tsx";
import type { Holds } from "./proposals.ts";
import { MAX_CHOSEN, readTrading, type Selection, usePortfolioSelection } from "./selection.ts";

type Row = Schema<"OutcomeSummary">;
const FILTERS = ["portfolio_id", "sort_by"] as const;

export interface Holding {
  rebalanceId: string;
  holds: Holds;
  isOpen: boolean; // whether holds may change
  hrefOf: (portfolioId: string) => string;
  onHold: (portfolioIds: string[]) => void;
  onRelease: (portfolioIds: string[]) => void;
}

export function TradingPortfolios(props: Holding) {
  const { rebalanceId, isOpen } = props;
  const search = useSearch();
  const [path, navigate] = useLocation();
  const filters = readFilters(search, FILTERS);
  const change = (changes: Record<string, string>) =>
    navigate(withFilters(path, search, changes), { replace: true });
  const rows = usePages<Row>(
    `trading ${rebalanceId} ${JSON.stringify(filters)}`,
    (offset, limit, signal) => readTrading(rebalanceId, filters, offset, limit, signal),
  );
  const selection = usePortfolioSelection(rebalanceId, filters);
  const [current, setCurrent] = useState(-1);
  const total = rows.total ?? 0;
  const hold = () => {
    const row = rows.rowAt(current);
    const ids = selection.ids.length ? [...selection.ids] : row ? [row.portfolio_id] : [];
    if (isOpen && may("approvals:decide") && ids.length) props.onHold(ids);
  };
  useLayoutEffect(() => onKey("h", hold));
  return (
    <Section
      title="Portfolios that trade"
      note={count(rows.total)}
      aside={<PortfolioIdField filters={filters} onChange={change} />}
    >
      {isOpen && <Chosen {...props} selection={selection} total={total} />}
      <Listed rows={rows} empty="No portfolio that trades matches.">
        {() => (
          <PortfolioGrid
            rows={rows}
            holds={props.holds}
            selection={isOpen ? selection : undefined}
            current={current}
            onCurrent={setCurrent}
            hrefOf={props.hrefOf}
            sort={filters["sort_by"] ?? ""}
            onSort={(sort_by) => change({ sort_by })}
          />
        )}
      </Listed>
    </Section>
  );
}

/** What is chosen, with its exact turnover, and what may be done with it. */
function Chosen(props: Holding & { selection: Selection<Row>; total: number }) {
  const { selection, holds, total } = props;
  const { ids, amount: turnover } = selection;
  const isHeld = (id: string) => holds.ofPortfolio(id) !== undefined || holds.tradesOf(id) > 0;
  const all = total > MAX_CHOSEN ? `the first ${count(MAX_CHOSEN)}` : `all ${count(total)}`;
  return (
    <p class="actions chosen" role="status">
      <span title={turnover}>
        {count(ids.length)} selected, turnover {money(turnover)}
      </span>
      <button type="button" disabled={!total} onClick={() => void selection.chooseMatching()}>
        Select {all}
      </button>
      <button type="button" disabled={!ids.length} onClick={selection.clear}>
        Select none
      </button>
      <ScopedButton
        scope="approvals:decide"
        disabled={!ids.length}
        onClick={() => props.onHold([...ids])}
      >
        Hold {count(ids.length)} selected
      </ScopedButton>
      <ScopedButton
        scope="approvals:decide"
        disabled={!ids.some(isHeld)}
        onClick={() => props.onRelease(ids.filter(isHeld))}
      >
        Release
      </ScopedButton>
    </p>
  );
}
