/** Outcomes of two rebalances, paired by portfolio: of this one, and of the other. */

import { list, type Page, read, type Schema, ServiceError } from "../api.ts";
import { compare } from "../exact.ts";
import { Lookup } from "../lookup.ts";
import { type ChangeCounts, countChanges, type Order } from "./changes.ts";

export type Outcome = Schema<"OutcomeSummary">;
export type Rebalance = Schema<"RebalanceSummary">;

export interface Pair {
  portfolio_id: string;
  here: Outcome | undefined; // undefined where that rebalance has not got the portfolio
  there: Outcome | undefined;
}

/** Portfolios of a rebalance that are read at once, because a browser holds so many. */
export const MAX_WHOLE = 2000;
const OUTCOME_PAGE = 1000;
const TRADE_PAGE = 1000;
const PORTFOLIOS_AT_ONCE = 20; // whose orders are read together
const MAX_SOUGHT = 100; // portfolios that a request may name

const outcomesOf = (
  rebalance_id: string,
  query: { offset?: number; limit: number; portfolio_id?: string[] },
  signal: AbortSignal | undefined,
): Promise<Page<Outcome>> =>
  list("/api/v1/rebalance/{rebalance_id}/outcomes", {
    path: { rebalance_id },
    query,
    ...(signal && { signal }),
  });

async function allOutcomes(id: string, total: number, signal: AbortSignal): Promise<Outcome[]> {
  const rows: Outcome[] = [];
  for (let offset = 0; offset < total; offset += OUTCOME_PAGE) {
    rows.push(...(await outcomesOf(id, { offset, limit: OUTCOME_PAGE }, signal)).rows);
  }
  return rows;
}

/** Every pair, in the order of this rebalance; portfolios of the other alone come last. */
export async function readAllPairs(
  here: Rebalance,
  there: Rebalance,
  signal: AbortSignal,
): Promise<Pair[]> {
  const [ours, theirs] = await Promise.all(
    [here, there].map((each) =>
      allOutcomes(each.rebalance_id, each.number_of_portfolios, signal),
    ) as [Promise<Outcome[]>, Promise<Outcome[]>],
  );
  const left = new Map(theirs.map((each) => [each.portfolio_id, each]));
  const pairs: Pair[] = ours.map((outcome) => {
    const id = outcome.portfolio_id;
    const pair = { portfolio_id: id, here: outcome, there: left.get(id) };
    left.delete(id);
    return pair;
  });
  for (const outcome of left.values()) {
    pairs.push({ portfolio_id: outcome.portfolio_id, here: undefined, there: outcome });
  }
  return pairs;
}

/** A page of pairs, of the portfolios of this rebalance. */
export async function readPairs(
  here: string,
  there: string,
  offset: number,
  limit: number,
  signal: AbortSignal,
): Promise<Page<Pair>> {
  const ours = await outcomesOf(here, { offset, limit: Math.min(limit, MAX_SOUGHT) }, signal);
  const portfolio_id = ours.rows.map((row) => row.portfolio_id);
  const theirs = portfolio_id.length
    ? (await outcomesOf(there, { portfolio_id, limit: MAX_SOUGHT }, signal)).rows
    : [];
  const found = new Map(theirs.map((each) => [each.portfolio_id, each]));
  const rows = ours.rows.map((each) => ({
    portfolio_id: each.portfolio_id,
    here: each,
    there: found.get(each.portfolio_id),
  }));
  return { rows, total: ours.total };
}

const FIGURES = ["turnover", "cost", "cash_after_rebalance", "objective"] as const;

/** Whether the outcomes or their figures differ. */
export function differs({ here, there }: Pair): boolean {
  if (!here || !there) return true;
  if (here.status !== there.status || here.transactions !== there.transactions) return true;
  return FIGURES.some((figure) => {
    const [one, other] = [here[figure], there[figure]];
    if (one === null || other === null) return one !== other;
    return compare(one, other) !== 0;
  });
}

interface Trade extends Order {
  portfolio_id: string;
}

async function tradesOf(rebalance_id: string, portfolio_id: string[]): Promise<Trade[]> {
  const trades: Trade[] = [];
  let total = 1;
  while (trades.length < total) {
    const page = await list("/api/v1/rebalance/{rebalance_id}/trades", {
      path: { rebalance_id },
      query: { portfolio_id, offset: trades.length, limit: TRADE_PAGE },
    });
    if (!page.rows.length) break; // because trades of a deleted rebalance end early
    trades.push(...page.rows);
    total = page.total;
  }
  return trades;
}

/** The changes of the orders of portfolios, looked up for the rows in view. */
export const changesBetween = (here: string, there: string): Lookup<ChangeCounts> =>
  new Lookup(PORTFOLIOS_AT_ONCE, async (ids) => {
    const [ours, theirs] = await Promise.all([tradesOf(here, ids), tradesOf(there, ids)]);
    const of = (trades: Trade[], id: string) => trades.filter((each) => each.portfolio_id === id);
    return ids.map((id) => [id, countChanges(of(ours, id), of(theirs, id))]);
  });

export type Detail = Schema<"OutcomeDetail">;

/** The plan of a portfolio; undefined where the rebalance has not got the portfolio. */
export async function readDetail(
  rebalance_id: string,
  portfolio_id: string,
  signal: AbortSignal,
): Promise<Detail | undefined> {
  try {
    return await read("/api/v1/rebalance/{rebalance_id}/portfolio/{portfolio_id}", {
      path: { rebalance_id, portfolio_id },
      signal,
    });
  } catch (reason) {
    if (reason instanceof ServiceError && reason.status === 404) return undefined;
    throw reason;
  }
}
