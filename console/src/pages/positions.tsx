/** Positions of an outcome: the picture of the bands, and the same figures beside it. */

import { useEffect } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { BandAxis, BandRow, centre, type Mark, scaleOf } from "../charts/bands.tsx";
import { useWidth } from "../charts/width.ts";
import { compare, subtract, toFloat } from "../exact.ts";
import { fullPercent, money, percent, quantity } from "../format.ts";
import { onKey } from "../keys.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Id, Section, Status } from "../parts.tsx";
import type { Outcome } from "./portfolio.tsx";

type Position = Outcome["positions"][number];
const SORTS = { distance: "distance", target: "target", amount: "amount" } as const;
type Sort = keyof typeof SORTS;

const magnitude = (text: string): number => Math.abs(toFloat(text));
const ORDERS: Record<Sort, (each: Position) => number> = {
  distance: (each) => magnitude(each.original_deviation),
  target: (each) => toFloat(each.target_value),
  amount: (each) => magnitude(each.trade_amount ?? "0"),
};

/** Why a security trades, by its figures alone. */
export function reasonOf(position: Position): string {
  const { original_side: side, original_position_market_value: value } = position;
  if (side === "ABOVE") return `above band by ${money(subtract(value, position.upper_edge))}`;
  if (side === "BELOW") return `below band by ${money(subtract(position.lower_edge, value))}`;
  if (!position.transaction_type) return "";
  const [before, after] = [position.original_deviation, position.deviation].map((each) =>
    each.replace("-", ""),
  );
  return compare(after ?? "0", before ?? "0") < 0 ? "closer to target" : "for the cash";
}

/** The position in parts of the base, for the picture. */
export function markOf(
  position: Position,
  base: number,
  hasPlan: boolean,
  nearest: number | undefined,
): Mark {
  const part = (text: string) => (base > 0 ? toFloat(text) / base : 0);
  return {
    low: part(position.lower_edge),
    high: part(position.upper_edge),
    target: part(position.target_value),
    before: part(position.original_position_market_value),
    after: hasPlan ? part(position.adjusted_position_market_value) : undefined,
    nearest,
    wasOutside: position.original_side !== null,
  };
}

/** Weights of the nearest plan, by security; empty where the plan itself is one. */
function nearestWeights(outcome: Outcome, base: number): Map<string, number> {
  const plan = outcome.problem?.["nearest_plan"] as
    | { transactions: { security_id: string; transaction_type: string; quantity: string }[] }
    | undefined;
  const signed = new Map(
    (plan?.transactions ?? []).map((each) => [
      each.security_id,
      toFloat(each.quantity) * (each.transaction_type === "SELL" ? -1 : 1),
    ]),
  );
  if (!signed.size || base <= 0) return new Map();
  return new Map(
    outcome.positions.map((each) => {
      const shares = toFloat(each.original_quantity) + (signed.get(each.security_id) ?? 0);
      return [each.security_id, (shares * toFloat(each.price)) / base];
    }),
  );
}

function useView() {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const filters = readFilters(search, ["sort", "view"]);
  const sort =
    (filters["sort"] ?? "distance") in SORTS
      ? ((filters["sort"] ?? "distance") as Sort)
      : "distance";
  const change = (changes: Record<string, string>) =>
    navigate(withFilters(path, search, changes), { replace: true });
  useEffect(() => {
    const names = Object.keys(SORTS);
    return onKey("s", () =>
      change({ sort: names[(names.indexOf(sort) + 1) % names.length] ?? "distance" }),
    );
  });
  return { sort, isDistance: filters["view"] === "distance", change };
}

export function PositionGrid(props: {
  outcome: Outcome;
  tickerOf: (id: string) => string | undefined;
}) {
  const { outcome, tickerOf } = props;
  const { sort, isDistance, change } = useView();
  const [box, width] = useWidth<HTMLDivElement>();
  const base = toFloat(outcome.base ?? outcome.market_value ?? "0");
  const nearest = nearestWeights(outcome, base);
  const hasPlan = outcome.problem === null;
  const order = ORDERS[sort];
  const rows = [...outcome.positions].sort((left, right) => order(right) - order(left));
  const marks = new Map(
    rows.map((each) => [
      each.security_id,
      markOf(each, base, hasPlan, nearest.get(each.security_id)),
    ]),
  );
  const scale = scaleOf([...marks.values()], isDistance);
  const picture = (row: Position) => {
    const mark = marks.get(row.security_id);
    return (
      <div class="fills" ref={row === rows[0] ? box : null}>
        {mark && <BandRow mark={isDistance ? centre(mark) : mark} scale={scale} width={width} />}
      </div>
    );
  };
  const columns: Column<Position>[] = [
    {
      key: "security",
      head: "Security",
      width: "4.6rem",
      cell: (row) => (
        <Id value={row.security_id} label={tickerOf(row.security_id) ?? row.security_id} />
      ),
    },
    {
      key: "picture",
      head: isDistance ? "Distance from target, points" : "Weight",
      width: "minmax(13rem, 1fr)",
      headCell: <BandAxis scale={scale} width={width} isDistance={isDistance} />,
      cell: picture,
    },
    number("before", "Before %", 3.8, (row) => percent(row.original_weight)),
    number("target", "Target %", 3.7, (row) => fullPercent(row.target)),
    number("band", "Band ±pp", 4.1, bandOf, true),
    ...(hasPlan ? PLANNED : []),
    { key: "reason", head: hasPlan ? "Reason" : "Now", width: "11.2rem", cell: reasonOf },
  ];
  return (
    <Section
      title="Positions"
      aside={
        <>
          <Legend hasPlan={hasPlan} hasNearest={nearest.size > 0} />
          <Choice
            label="Picture"
            value={isDistance ? "distance" : "weight"}
            of={["weight", "distance"]}
            onChange={(view) => change({ view: view === "distance" ? view : "" })}
          />
          <Choice
            label="Order"
            value={sort}
            of={Object.keys(SORTS)}
            onChange={(chosen) => change({ sort: chosen })}
          />
        </>
      }
    >
      <Grid
        label="Positions"
        columns={columns}
        total={rows.length}
        rowAt={(index) => rows[index]}
        keyOf={(row) => row.security_id}
      />
    </Section>
  );
}

const number = (
  key: string,
  head: string,
  rem: number,
  cell: (row: Position) => string,
  isOnlyWide = false,
): Column<Position> => ({ key, head, width: `${rem}rem`, isNumber: true, cell, isOnlyWide });

/** Columns of a plan. */
const PLANNED: Column<Position>[] = [
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

function bandOf(row: Position): string {
  const [low, high] = [fullPercent(row.low_drift), fullPercent(row.high_drift)];
  return low === high ? low : `${low} / ${high}`;
}

function Legend({ hasPlan, hasNearest }: { hasPlan: boolean; hasNearest: boolean }) {
  return (
    <ul class="legend marks">
      <li>
        <i class="dot before" /> before
      </li>
      {hasPlan && (
        <li>
          <i class="dot after" /> after
        </li>
      )}
      {hasNearest && (
        <li>
          <i class="dot nearest" /> nearest plan
        </li>
      )}
      <li>
        <i class="swatch" /> band
      </li>
      <li>
        <i class="swatch out" /> band it was outside of
      </li>
    </ul>
  );
}

function Choice(props: {
  label: string;
  value: string;
  of: readonly string[];
  onChange: (value: string) => void;
}) {
  return (
    <label class="inline">
      {props.label}
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.of.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
}
