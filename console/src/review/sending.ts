/** Sending the orders of a rebalance: a question that names the number and the exact amounts. */

import { newKey, read, write } from "../api.ts";
import type { Question } from "../confirm.tsx";
import { count, openMoney } from "../format.ts";

/** What would be sent, in words, as the service adds it up; trades that are held are not in it. */
export async function describeTrades(rebalanceId: string): Promise<string> {
  const { buys, sells, held } = await read("/api/v1/rebalance/{rebalance_id}/transactions/totals", {
    path: { rebalance_id: rebalanceId },
  });
  const side = (name: string, { transactions, amount }: typeof buys) =>
    `${count(transactions)} ${name} of ${openMoney(amount)}`;
  const left = held.transactions ? ` (${count(held.transactions)} trades are held)` : "";
  return `${side("BUY", buys)} and ${side("SELL", sells)}${left}`;
}

export async function questionToSend(rebalanceId: string, onSent?: () => void): Promise<Question> {
  const headers = { "Idempotency-Key": newKey() };
  return {
    title: "Send these orders?",
    text: `${await describeTrades(rebalanceId)} go to the order service. Orders that are there already are not sent again.`,
    verb: "Send the orders",
    act: async () => {
      const path = { rebalance_id: rebalanceId };
      await write("POST", "/api/v1/rebalance/{rebalance_id}/orders", { path, headers, body: {} });
      onSent?.();
    },
  };
}
