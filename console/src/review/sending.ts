/** Sending the orders of a rebalance: a question that names the number and the exact amounts. */

import { list, newKey, write } from "../api.ts";
import type { Question } from "../confirm.tsx";
import { sum } from "../exact.ts";
import { count, money } from "../format.ts";
import { mayAll } from "../session.ts";
import { Holds, type Proposal, readHolds, readProposal } from "./proposals.ts";

/** What would be sent, in words; trades that are held are not in it. */
export async function describeTrades(rebalanceId: string, holds: Holds): Promise<string> {
  const { rows } = await list("/api/v1/rebalance/{rebalance_id}/transactions", {
    path: { rebalance_id: rebalanceId },
    exact: ["amount"],
  });
  const sent = rows.filter((row) => !holds.has(row.portfolio_id, row.security_id));
  const side = (name: "BUY" | "SELL") => {
    const amounts = sent
      .filter((row) => row.transaction_type === name)
      .map((row) => String(row.amount));
    return `${count(amounts.length)} ${name} of ${money(sum(amounts))}`;
  };
  const held = rows.length - sent.length;
  const left = held ? ` (${count(held)} trades are held)` : "";
  return `${side("BUY")} and ${side("SELL")}${left}`;
}

export async function questionToSend(
  rebalanceId: string,
  onSent: () => void,
  known?: Proposal,
): Promise<Question> {
  const headers = { "Idempotency-Key": newKey() };
  // Proposals are a list over all models, which some callers may not read.
  const proposal =
    known ?? (mayAll("rebalances:read") ? await readProposal(rebalanceId) : undefined);
  const holds = proposal ? await readHolds(proposal) : new Holds();
  return {
    title: "Send these orders?",
    text: `${await describeTrades(rebalanceId, holds)} go to the order service. Orders that are there already are not sent again.`,
    verb: "Send the orders",
    act: async () => {
      const path = { rebalance_id: rebalanceId };
      await write("POST", "/api/v1/rebalance/{rebalance_id}/orders", { path, headers, body: {} });
      onSent();
    },
  };
}
