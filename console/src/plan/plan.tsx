/** The plan of one portfolio, stored or not: figures, pictures, proof, or why there is none. */

import type { Schema } from "../api.ts";
import { Facts } from "../parts.tsx";
import { Explanation } from "./explanation.tsx";
import { factsOf, Proof } from "./figures.tsx";
import { PositionGrid } from "./positions.tsx";

export type Position = Schema<"PositionDetail"> | Schema<"GivenPositionDetail">;

type Outcome = Schema<"OutcomeDetail">;
type OfBoth =
  | "base"
  | "binding"
  | "cash_after_rebalance"
  | "cash_before_rebalance"
  | "cost"
  | "lower_bound"
  | "market_value"
  | "method"
  | "objective"
  | "portfolio_id"
  | "proof"
  | "status"
  | "turnover"
  | "violation";

/** What a stored outcome and the answer to an upload have in common. */
export interface Plan extends Pick<Outcome, OfBoth> {
  model_id: string | null; // null where the model is not stored
  positions: readonly Position[];
  problem: Outcome["problem"];
  transactions: number;
  before: Outcome["before"];
  after: Outcome["after"];
}

export type TickerOf = (id: string) => string | undefined;

export function PlanParts({ plan, tickerOf }: { plan: Plan; tickerOf: TickerOf }) {
  return (
    <>
      {plan.market_value !== null && <Facts facts={factsOf(plan)} />}
      {plan.problem && <Explanation plan={plan} tickerOf={tickerOf} />}
      {plan.positions.length > 0 && <PositionGrid plan={plan} tickerOf={tickerOf} />}
      {plan.proof && <Proof plan={plan} tickerOf={tickerOf} />}
    </>
  );
}
