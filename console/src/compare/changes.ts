/** What differs between the orders of two plans of a portfolio: of this rebalance, and of another. */

import { compare, negate } from "../exact.ts";

export interface Order {
  security_id: string;
  transaction_type: "BUY" | "SELL" | null;
  trade_quantity: string | null;
  trade_amount: string | null;
}

/** Added: in this plan alone. Dropped: in the other alone. */
export const CHANGES = ["added", "dropped", "changed", "same"] as const;
export type Change = (typeof CHANGES)[number];
export type ChangeCounts = Record<Change, number>;

/** Shares or amount of an order, negative for a sale; 0 without an order. */
export function signed(
  order: Order | undefined,
  field: "trade_quantity" | "trade_amount" = "trade_quantity",
): string {
  const value = order?.[field] ?? "0";
  return order?.transaction_type === "SELL" ? negate(value) : value;
}

const isOrder = (order: Order | undefined): boolean => Boolean(order?.transaction_type);

/** What became of an order; undefined where neither plan has one. */
export function changeOf(here: Order | undefined, there: Order | undefined): Change | undefined {
  if (!isOrder(here)) return isOrder(there) ? "dropped" : undefined;
  if (!isOrder(there)) return "added";
  const isSame = (["trade_quantity", "trade_amount"] as const).every(
    (field) => compare(signed(here, field), signed(there, field)) === 0,
  );
  return isSame ? "same" : "changed";
}

const bySecurity = (orders: readonly Order[]) =>
  new Map(orders.map((order) => [order.security_id, order]));

export function countChanges(here: readonly Order[], there: readonly Order[]): ChangeCounts {
  const [ours, theirs] = [bySecurity(here), bySecurity(there)];
  const counts: ChangeCounts = { added: 0, dropped: 0, changed: 0, same: 0 };
  for (const id of new Set([...ours.keys(), ...theirs.keys()])) {
    const change = changeOf(ours.get(id), theirs.get(id));
    if (change) counts[change] += 1;
  }
  return counts;
}

/** The changes in words, without those that are none. */
export function changeWords(counts: ChangeCounts): string {
  const words = CHANGES.filter((each) => each !== "same" && counts[each] > 0);
  return words.map((each) => `${counts[each]} ${each}`).join(", ") || "the same";
}
