/** Figures of a plan in brief, and its proof. */

import { compare, subtract, sum, toFloat } from "../exact.ts";
import { count, money, percent, whole } from "../format.ts";
import { type Fact, Facts, Section } from "../parts.tsx";
import type { Plan } from "./plan.tsx";

/** Amounts of the trades of one side, added exactly. */
function amountOf(plan: Plan, side: "BUY" | "SELL"): string {
  return sum(
    plan.positions
      .filter((each) => each.transaction_type === side)
      .map((each) => each.trade_amount ?? "0"),
  );
}

const arrow = (before: string | null | undefined, after: string | null | undefined) =>
  before === after ? before : `${before} to ${after}`;

export function factsOf(plan: Plan): Fact[] {
  const { market_value, turnover, before, after } = plan;
  const worth = toFloat(market_value ?? "0");
  const share = worth > 0 ? `${((toFloat(turnover) / worth) * 100).toFixed(1)} %` : undefined;
  const drifts = [before?.total_drift_weight, after?.total_drift_weight].map((each) =>
    percent(each),
  );
  return [
    { term: "market value", value: money(market_value), title: whole(market_value) },
    {
      term: "cash",
      value: arrow(money(plan.cash_before_rebalance), money(plan.cash_after_rebalance)),
    },
    { term: "sells", value: money(amountOf(plan, "SELL")) },
    { term: "buys", value: money(amountOf(plan, "BUY")) },
    { term: "turnover", value: money(turnover), note: share },
    { term: "cost", value: money(plan.cost), title: whole(plan.cost) },
    { term: "total drift %", value: arrow(drifts[0], drifts[1]) },
    { term: "out of band", value: arrow(count(before?.out_of_band), count(after?.out_of_band)) },
    { term: "trades", value: count(plan.transactions) },
  ];
}

export function Proof({
  plan,
  tickerOf,
}: {
  plan: Plan;
  tickerOf: (id: string) => string | undefined;
}) {
  const { objective, lower_bound, proof, method, binding, violation } = plan;
  const gap = objective && lower_bound ? subtract(objective, lower_bound) : null;
  const name = (constraint: string) =>
    constraint
      .split(".")
      .map((part) => tickerOf(part) ?? part)
      .join(" ");
  const list: Fact[] = [
    { term: "proof", value: proof },
    {
      term: "objective",
      value: money(objective),
      note: "drift after, in currency",
      title: whole(objective),
    },
    { term: "lower bound", value: money(lower_bound), title: whole(lower_bound) },
    { term: "gap", value: money(gap), title: whole(gap) },
    { term: "method", value: method },
  ];
  if (violation && compare(violation, "0") > 0) {
    list.push({ term: "outside bands", value: money(violation), title: whole(violation) });
  }
  return (
    <Section title="Proof" note="how close the plan is to the best one that whole shares allow">
      <Facts facts={list} />
      {binding.length > 0 && (
        <p class="muted">
          Binding:{" "}
          {binding
            .map((each) => `${name(each.constraint)} (slack ${money(each.slack)})`)
            .join(", ")}
        </p>
      )}
    </Section>
  );
}
