/** The trades of a rebalance, a row each: filtered and sorted by the service, held and released. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { list, read, type Schema } from "../api.ts";
import { divide, isDecimal, shift, trim } from "../exact.ts";
import { count, money, quantity, whole } from "../format.ts";
import { onKey } from "../keys.ts";
import { ChosenGrid } from "../lists/column_menu.tsx";
import { type NameOf, portfolioColumn } from "../lists/columns.tsx";
import { type Filters, readFilters, withFilters } from "../lists/filters.ts";
import type { Column } from "../lists/grid.tsx";
import { groupsOf, useGroupedPages } from "../lists/grouping.ts";
import type { GroupedBy } from "../lists/groups.ts";
import { Listed, PortfolioIdField, TextFilter } from "../lists/listed.tsx";
import { type PagedRows, useShown } from "../lists/pages.ts";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Problem, ScopedButton, Section, Status } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { may } from "../session.ts";
import { holdWords, type Trade } from "./proposals.ts";
import { selectColumn } from "./select_column.tsx";
import { MAX_CHOSEN, type Selection, useSelection } from "./selection.ts";
import { tradeColumns } from "./trades.tsx";

type Row = Schema<"TradeDetail">;
const NARROWING = [
  "side",
  "ticker",
  "portfolio_id",
  "min_amount",
  "max_amount",
  "min_drift",
  "approval",
] as const;
const FILTERS = [...NARROWING, "sort_by"] as const;
/** Names of the filter by approval: those of the service, and all before an approval. */
const APPROVALS: Record<string, string> = {
  OPEN: "not yet approved",
  HELD: "HELD",
  PROPOSED: "PROPOSED",
  APPROVED: "APPROVED",
  ORDERED: "ORDERED",
};
const BEFORE_APPROVAL = ["NONE", "PROPOSED", "HELD"] as const;

function groupsIn({ side, approval }: Filters): GroupedBy[] {
  const all = [...BEFORE_APPROVAL, "APPROVED", "ORDERED"];
  const admitted = approval === "OPEN" ? BEFORE_APPROVAL : approval ? [approval] : all;
  return [
    { filter: "side", words: "Side", groups: groupsOf(side ? [side] : ["BUY", "SELL"]) },
    { filter: "approval", words: "Approval", groups: groupsOf(admitted) },
  ];
}

const queryOf = ({ approval, ...others }: Filters) => ({
  ...others,
  approval: approval === "OPEN" ? BEFORE_APPROVAL : approval,
});

const readTrades = (
  rebalance_id: string,
  filters: Filters,
  part: { offset: number; limit: number },
  signal?: AbortSignal,
) =>
  list("/api/v1/rebalance/{rebalance_id}/trades", {
    path: { rebalance_id },
    query: { ...queryOf(filters), ...part },
    ...(signal && { signal }),
  });

interface Holding {
  rebalanceId: string;
  version: number | undefined; // of the proposal, because another one has other holds
  isOpen: boolean; // whether holds may change
  hrefOf: (portfolioId: string) => string;
  onHold: (trades: Trade[], words: string) => void;
  onRelease: (trades: Trade[], words: string) => void;
}

export function AllTrades(props: Holding) {
  const { rebalanceId, version, isOpen } = props;
  const search = useSearch();
  const [path, navigate] = useLocation();
  const filters = readFilters(search, FILTERS);
  const change = (changes: Filters) =>
    navigate(withFilters(path, search, changes), { replace: true });
  const key = `${rebalanceId} ${version} ${JSON.stringify(filters)}`;
  const rows = useGroupedPages<Row>("review trades", key, groupsIn(filters), (part, signal) =>
    readTrades(rebalanceId, filters, part, signal),
  );
  const selection = useSelection<Row>({
    keyOf: (row) => `${row.portfolio_id} ${row.security_id}`,
    amountOf: (row) => row.trade_amount ?? "0",
    readMatching: async (limit) =>
      (await readTrades(rebalanceId, filters, { offset: 0, limit })).rows,
  });
  useEffect(selection.clear, [version]); // because what is chosen may be held since
  const [current, setCurrent] = useState(-1);
  const total = rows.total ?? 0;
  const { shown, onWindow } = useShown(rows);
  const tickerOf = useTickers(shown.map((row) => row.security_id));
  const nameOf = usePortfolioNames(shown.map((row) => row.portfolio_id));
  const wordsOf = wordsIn(tickerOf, nameOf);
  const act = (chosen: readonly Row[], does: Holding["onHold"]) => {
    const [only] = chosen;
    if (!only) return;
    const words = chosen.length === 1 ? wordsOf(only) : `${count(chosen.length)} trades`;
    does(
      chosen.map(({ portfolio_id, security_id }) => ({ portfolio_id, security_id })),
      words,
    );
  };
  const hold = () => {
    const row = rows.rowAt(current);
    const chosen = selection.rows.length ? selection.rows : row ? [row] : [];
    if (isOpen && may("approvals:decide")) act(chosen, props.onHold);
  };
  useLayoutEffect(() => onKey("h", hold));
  return (
    <Section title="All trades" note={count(rows.total)}>
      <TradeFilters filters={filters} onChange={change} />
      <Totals rebalanceId={rebalanceId} filters={filters} version={version} />
      {isOpen && <Chosen {...props} selection={selection} total={total} act={act} />}
      <Listed rows={rows} empty="No trade matches.">
        {() => (
          <TradeRows
            {...props}
            rows={rows}
            selection={isOpen ? selection : undefined}
            onWindow={onWindow}
            current={current}
            onCurrent={setCurrent}
            names={{ tickerOf, nameOf, wordsOf }}
            sort={filters["sort_by"] ?? ""}
            onSort={(sort_by) => change({ sort_by })}
          />
        )}
      </Listed>
    </Section>
  );
}

const wordsIn = (tickerOf: NameOf, nameOf: NameOf) => (row: Row) =>
  `${row.transaction_type} ${quantity(row.trade_quantity)} ${tickerOf(row.security_id) ?? row.security_id} of ${nameOf(row.portfolio_id) ?? row.portfolio_id}`;

/** Typed percentage points as a part of market value; what is no decimal is left to the service. */
const partOf = (points: string): string =>
  isDecimal(points) ? trim(divide(points, "100", 10)) : points;
const pointsOf = (part: string): string => (isDecimal(part) ? trim(shift(part, 2)) : part);

function TradeFilters(props: { filters: Filters; onChange: (changes: Filters) => void }) {
  const { filters, onChange } = props;
  const field = (name: string, label: string, size: number, shown = filters[name] ?? "") => (
    <TextFilter
      label={label}
      size={size}
      value={shown}
      onChange={(typed) => {
        const text = typed.replaceAll(",", "");
        onChange({ [name]: name === "min_drift" ? partOf(text) : text });
      }}
    />
  );
  const choice = (name: string, label: string, choices: Record<string, string>) => (
    <label class="inline">
      {label}
      <select
        value={filters[name] ?? ""}
        onChange={(event) => onChange({ [name]: event.currentTarget.value })}
      >
        <option value="">all</option>
        {Object.entries(choices).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
  const none = Object.fromEntries(NARROWING.map((name) => [name, ""]));
  return (
    <p class="actions chosen">
      {choice("side", "Side", { BUY: "BUY", SELL: "SELL" })}
      {field("ticker", "Ticker", 8)}
      {field("min_amount", "Amount from", 9)}
      {field("max_amount", "to", 9)}
      {field("min_drift", "Drift from, pp", 5, pointsOf(filters["min_drift"] ?? ""))}
      {choice("approval", "Approval", APPROVALS)}
      <PortfolioIdField filters={filters} onChange={onChange} />
      <button
        type="button"
        disabled={!NARROWING.some((name) => filters[name])}
        onClick={() => onChange(none)}
      >
        Show all
      </button>
    </p>
  );
}

/** The sums of everything that matches, as the service adds them up. */
function Totals(props: { rebalanceId: string; filters: Filters; version: number | undefined }) {
  const { rebalanceId, version } = props;
  const { sort_by: _, ...narrowing } = props.filters;
  const totals = useResource(
    `totals ${rebalanceId} ${version} ${JSON.stringify(narrowing)}`,
    (signal) =>
      read("/api/v1/rebalance/{rebalance_id}/transactions/totals", {
        path: { rebalance_id: rebalanceId },
        query: queryOf(narrowing),
        signal,
      }),
  );
  const { value, error, isLoading } = totals;
  if (error) return <Problem error={error} retry={totals.reload} />;
  const sums = value
    ? ([
        ["BUY", value.buys],
        ["SELL", value.sells],
        ["held", value.held],
      ] as const)
    : [];
  return (
    <p class={isLoading ? "actions chosen old" : "actions chosen"} role="status">
      {sums.map(([name, { transactions, amount }]) => (
        <span key={name} title={whole(amount)}>
          {count(transactions)} {name} of {money(amount)}
        </span>
      ))}
    </p>
  );
}

/** What is chosen, with its exact amount, and what may be done with it. */
function Chosen(
  props: Holding & {
    selection: Selection<Row>;
    total: number;
    act: (chosen: readonly Row[], does: Holding["onHold"]) => void;
  },
) {
  const { selection, total, act } = props;
  const held = selection.rows.filter(({ hold }) => hold?.security_id);
  const all = total > MAX_CHOSEN ? `the first ${count(MAX_CHOSEN)}` : `all ${count(total)}`;
  return (
    <p class="actions chosen" role="status">
      <span title={whole(selection.amount)}>
        {count(selection.rows.length)} selected, amount {money(selection.amount)}
      </span>
      <button type="button" disabled={!total} onClick={() => void selection.chooseMatching()}>
        Select {all}
      </button>
      <button type="button" disabled={!selection.rows.length} onClick={selection.clear}>
        Select none
      </button>
      <ScopedButton
        scope="approvals:decide"
        disabled={!selection.rows.length}
        onClick={() => act(selection.rows, props.onHold)}
      >
        Hold {count(selection.rows.length)} selected
      </ScopedButton>
      <ScopedButton
        scope="approvals:decide"
        disabled={!held.length}
        title="trades that are held by themselves; a portfolio that is held is released as one"
        onClick={() => act(held, props.onRelease)}
      >
        Release
      </ScopedButton>
    </p>
  );
}

function TradeRows(
  props: Holding & {
    rows: PagedRows<Row>;
    selection: Selection<Row> | undefined;
    onWindow: (first: number, last: number) => void;
    current: number;
    onCurrent: (index: number) => void;
    names: { tickerOf: NameOf; nameOf: NameOf; wordsOf: (row: Row) => string };
    sort: string;
    onSort: (sort: string) => void;
  },
) {
  const { rows, selection, names } = props;
  const last = useRef<number>();
  const columns: Column<Row>[] = [
    portfolioColumn(names.nameOf, "minmax(8rem, 12rem)", props.hrefOf),
    ...tradeColumns(names.tickerOf),
    {
      key: "approval",
      head: "Approval",
      width: "minmax(8rem, 1fr)",
      cell: ({ approval, hold }) => {
        if (hold) return <span title={holdWords(hold)}>{holdWords(hold)}</span>;
        return approval === "NONE" ? "–" : <Status value={approval} />;
      },
    },
  ];
  if (selection) columns.unshift(selectColumn(selection, rows, names.wordsOf, last));
  return (
    <ChosenGrid
      list="review trades"
      label="All trades"
      columns={columns}
      rows={rows}
      keyOf={(row) => `${row.portfolio_id} ${row.security_id}`}
      href={(row) => props.hrefOf(row.portfolio_id)}
      onWindow={props.onWindow}
      sort={props.sort}
      onSort={props.onSort}
      current={props.current}
      onCurrent={props.onCurrent}
      onSelect={(row) => selection?.toggle(row)}
    />
  );
}
