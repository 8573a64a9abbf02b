/** Why a portfolio has no plan, and what would admit one. */

import { Link } from "wouter-preact";
import { toFloat } from "../exact.ts";
import { fullPercent, money, quantity } from "../format.ts";
import { securityColumn } from "../lists/columns.tsx";
import { type Column, Grid } from "../lists/grid.tsx";
import { Section } from "../parts.tsx";
import type { Plan, TickerOf } from "./plan.tsx";
import { useReasons } from "./reasons.ts";

interface Band {
  low_drift: string;
  high_drift: string;
  lots?: string;
}
interface Culprit extends Band {
  security_id: string;
  price: string;
  target: string;
  smallest_band: Band | null;
}
interface Facts {
  securities?: Culprit[];
  limits?: Record<string, unknown>[];
  admits?: { option: string; value?: unknown }[];
  nearest_plan?: { cash_after_rebalance: string; transactions: unknown[] } | null;
}

const ADMITS: Record<string, string> = {
  bands: "let bands yield (bands YIELD)",
  soft_band_price: "give bands a price (soft_band_price)",
};

export function Explanation({ plan, tickerOf }: { plan: Plan; tickerOf: TickerOf }) {
  const problem = plan.problem;
  const reason = useReasons([problem?.detail ?? ""]);
  if (!problem) return null;
  const facts = problem as unknown as Facts;
  const culprits = facts.securities ?? [];
  const nearest = facts.nearest_plan;
  const editor = editorOf(plan);
  return (
    <Section title={problem.title} aside={<a href={problem.type}>What to do</a>}>
      <p>{reason(problem.detail.replace(`${problem.title}: `, ""))}</p>
      {culprits.length > 0 && (
        <Culprits culprits={culprits} marketValue={plan.market_value} tickerOf={tickerOf} />
      )}
      {(facts.limits ?? []).map((limit) => (
        <p key={JSON.stringify(limit)}>
          <code>{describe(limit)}</code>
        </p>
      ))}
      <ul class="lines">
        {culprits.some((each) => each.smallest_band) && editor && (
          <li>
            <Link href={editor}>Widen these bands in the model</Link>{" "}
            <span class="muted">opens the editor with the change filled in; nothing is saved</span>
          </li>
        )}
        {(facts.admits ?? []).map((each) => (
          <li key={each.option}>or {ADMITS[each.option] ?? `change the option ${each.option}`}</li>
        ))}
        {nearest && (
          <li class="muted">
            The nearest plan is a dashed dot below: {nearest.transactions.length} trades, cash after{" "}
            {money(nearest.cash_after_rebalance)}.
          </li>
        )}
      </ul>
    </Section>
  );
}

const describe = (limit: Record<string, unknown>): string =>
  Object.entries(limit)
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");

/** The editor of the plan's model, with the bands that admit a plan where it has none. */
export function editorOf(plan: Pick<Plan, "model_id" | "problem">): string | undefined {
  if (!plan.model_id) return undefined;
  const { securities = [] } = (plan.problem ?? {}) as Facts;
  const query = widening(securities);
  return query.size ? `/model/${plan.model_id}?${query}` : `/model/${plan.model_id}`;
}

/** The smallest bands, as the editor of models reads them. */
function widening(culprits: readonly Culprit[]): URLSearchParams {
  const query = new URLSearchParams();
  for (const { security_id, smallest_band: band } of culprits) {
    if (band) query.append("band", `${security_id}:${band.low_drift}:${band.high_drift}`);
  }
  return query;
}

function Culprits(props: {
  culprits: readonly Culprit[];
  marketValue: string | null;
  tickerOf: TickerOf;
}) {
  const whole = toFloat(props.marketValue ?? "0");
  const lot = (price: string) =>
    whole > 0 ? `${((toFloat(price) / whole) * 100).toPrecision(3)} %` : "–";
  const band = (each: Band | null) =>
    each ? `−${fullPercent(each.low_drift)} +${fullPercent(each.high_drift)}` : "none";
  const columns: Column<Culprit>[] = [
    securityColumn(props.tickerOf, "7rem"),
    {
      key: "price",
      head: "Price",
      width: "7rem",
      isNumber: true,
      cell: (row) => quantity(row.price),
    },
    {
      key: "lot",
      head: "One share is",
      width: "8rem",
      isNumber: true,
      cell: (row) => lot(row.price),
    },
    {
      key: "target",
      head: "Target %",
      width: "6rem",
      isNumber: true,
      cell: (row) => fullPercent(row.target),
    },
    { key: "band", head: "Band now, pp", width: "9rem", isNumber: true, cell: (row) => band(row) },
    {
      key: "smallest",
      head: "Smallest band, pp",
      width: "minmax(10rem, 14rem)",
      isNumber: true,
      cell: (row) => band(row.smallest_band),
    },
  ];
  return (
    <Grid
      label="Securities without a whole lot in their band"
      columns={columns}
      total={props.culprits.length}
      rowAt={(index) => props.culprits[index]}
    />
  );
}
