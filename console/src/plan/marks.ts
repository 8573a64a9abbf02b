/** Places of positions in the picture of the bands, their order, and why they trade. */

import type { Mark } from "../charts/bands.tsx";
import { compare, subtract, toFloat } from "../exact.ts";
import { money } from "../format.ts";
import type { Plan, Position } from "./plan.tsx";

export const SORTS = { distance: "distance", target: "target", amount: "amount" } as const;
export type Sort = keyof typeof SORTS;

const magnitude = (text: string): number => Math.abs(toFloat(text));
export const ORDERS: Record<Sort, (each: Position) => number> = {
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
export function nearestWeights(plan: Plan, base: number): Map<string, number> {
  const nearest = plan.problem?.["nearest_plan"] as
    | { transactions: { security_id: string; transaction_type: string; quantity: string }[] }
    | undefined;
  const signed = new Map(
    (nearest?.transactions ?? []).map((each) => [
      each.security_id,
      toFloat(each.quantity) * (each.transaction_type === "SELL" ? -1 : 1),
    ]),
  );
  if (!signed.size || base <= 0) return new Map();
  return new Map(
    plan.positions.map((each) => {
      const shares = toFloat(each.original_quantity) + (signed.get(each.security_id) ?? 0);
      return [each.security_id, (shares * toFloat(each.price)) / base];
    }),
  );
}
