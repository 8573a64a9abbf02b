/** One portfolio of a rebalance: the plan against its bands, its proof, or why there is none. */

import { Link } from "wouter-preact";
import { read, type Schema } from "../api.ts";
import { compare, subtract, sum, toFloat } from "../exact.ts";
import { count, money, percent } from "../format.ts";
import { usePortfolioNames, useTickers } from "../names.ts";
import { type Fact, Facts, Id, Loaded, Page, Section, Status, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { Explanation } from "./explanation.tsx";
import { PositionGrid } from "./positions.tsx";

export type Outcome = Schema<"OutcomeDetail">;

export function PortfolioPage({ id, portfolioId }: { id: string; portfolioId: string }) {
  const outcome = useResource(`outcome ${id} ${portfolioId}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/portfolio/{portfolio_id}", {
      path: { rebalance_id: id, portfolio_id: portfolioId },
      signal,
    }),
  );
  const name = usePortfolioNames([portfolioId])(portfolioId);
  const value = outcome.value;
  return (
    <Page
      title={name ?? `Portfolio ${portfolioId}`}
      name={name ?? "Portfolio"}
      meta={
        <>
          <Id value={portfolioId} />
          {value && <Status value={value.status} />}
          {value && (
            <span class="muted">
              <Link href={`/rebalance/${id}`}>{value.model_name}</Link> version{" "}
              {value.model_version}, <Time value={value.rebalance_date} />
            </span>
          )}
        </>
      }
    >
      <Loaded of={outcome} lines={12}>
        {(given) => <OutcomeParts outcome={given} />}
      </Loaded>
    </Page>
  );
}

function OutcomeParts({ outcome }: { outcome: Outcome }) {
  const tickerOf = useTickers(outcome.positions.map((each) => each.security_id));
  return (
    <>
      {outcome.market_value !== null && <Facts facts={facts(outcome)} />}
      {outcome.problem && <Explanation outcome={outcome} tickerOf={tickerOf} />}
      {outcome.positions.length > 0 && <PositionGrid outcome={outcome} tickerOf={tickerOf} />}
      {outcome.proof && <Proof outcome={outcome} tickerOf={tickerOf} />}
    </>
  );
}

/** Amounts of the trades of one side, added exactly. */
export function amountOf(outcome: Outcome, side: "BUY" | "SELL"): string {
  return sum(
    outcome.positions
      .filter((each) => each.transaction_type === side)
      .map((each) => each.trade_amount ?? "0"),
  );
}

const arrow = (before: string | null | undefined, after: string | null | undefined) =>
  before === after ? before : `${before} to ${after}`;

function facts(outcome: Outcome): Fact[] {
  const { market_value, turnover, before, after } = outcome;
  const whole = toFloat(market_value ?? "0");
  const share = whole > 0 ? `${((toFloat(turnover) / whole) * 100).toFixed(1)} %` : undefined;
  const drifts = [before?.total_drift_weight, after?.total_drift_weight].map((each) =>
    percent(each),
  );
  return [
    { term: "market value", value: money(market_value), title: market_value ?? undefined },
    {
      term: "cash",
      value: arrow(money(outcome.cash_before_rebalance), money(outcome.cash_after_rebalance)),
    },
    { term: "sells", value: money(amountOf(outcome, "SELL")) },
    { term: "buys", value: money(amountOf(outcome, "BUY")) },
    { term: "turnover", value: money(turnover), note: share },
    { term: "cost", value: money(outcome.cost), title: outcome.cost },
    { term: "total drift %", value: arrow(drifts[0], drifts[1]) },
    { term: "out of band", value: arrow(count(before?.out_of_band), count(after?.out_of_band)) },
    { term: "trades", value: count(outcome.transactions) },
  ];
}

function Proof({
  outcome,
  tickerOf,
}: {
  outcome: Outcome;
  tickerOf: (id: string) => string | undefined;
}) {
  const { objective, lower_bound, proof, method, binding, violation } = outcome;
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
      title: objective ?? undefined,
    },
    { term: "lower bound", value: money(lower_bound), title: lower_bound ?? undefined },
    { term: "gap", value: money(gap), title: gap ?? undefined },
    { term: "method", value: method },
  ];
  if (violation && compare(violation, "0") > 0) {
    list.push({ term: "outside bands", value: money(violation), title: violation });
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
