/** Proposals to send the orders of a rebalance, and the decisions about them. */

import { list, newKey, type Schema, write } from "../api.ts";

export type Proposal = Schema<"ProposalAnswer">;
export type Hold = Schema<"HoldAnswer">;
export type Trade = Schema<"TradeBody">;

/** Decisions are about all, or about the portfolios and trades that are named. */
export interface Decision {
  decision: "APPROVE" | "REJECT" | "OVERRIDE" | "HOLD" | "RELEASE";
  portfolios?: readonly string[];
  transactions?: readonly Trade[];
  note?: string;
}

/** Who holds it, and why. */
export const holdWords = (hold: Hold) =>
  `held by ${hold.principal}${hold.note ? `: ${hold.note}` : ""}`;

const HOLDS_A_PAGE = 1000;

/** The newest proposal of a rebalance, undefined if nobody has made one. */
export async function readProposal(
  rebalance_id: string,
  signal?: AbortSignal,
): Promise<Proposal | undefined> {
  const { rows } = await list("/api/v1/proposals", {
    query: { rebalance_id, limit: 1 },
    ...(signal && { signal }),
  });
  return rows[0];
}

export async function readHolds(proposal: Proposal, signal?: AbortSignal): Promise<Holds> {
  const found: Hold[] = [];
  while (found.length < proposal.number_of_holds) {
    const { rows } = await list("/api/v1/proposal/{proposal_id}/holds", {
      path: { proposal_id: proposal.proposal_id },
      query: { offset: found.length, limit: HOLDS_A_PAGE },
      ...(signal && { signal }),
    });
    if (!rows.length) break; // somebody released some in between
    found.push(...rows);
  }
  return new Holds(found);
}

/** What is not sent: whole portfolios, and single trades of others. */
export class Holds {
  readonly #byKey: ReadonlyMap<string, Hold>;
  readonly #trades = new Map<string, number>();

  constructor(holds: readonly Hold[] = []) {
    this.#byKey = new Map(holds.map((each) => [keyOf(each.portfolio_id, each.security_id), each]));
    for (const { portfolio_id, security_id } of holds) {
      if (security_id === null) continue;
      this.#trades.set(portfolio_id, (this.#trades.get(portfolio_id) ?? 0) + 1);
    }
  }

  ofPortfolio(portfolioId: string): Hold | undefined {
    return this.#byKey.get(keyOf(portfolioId, null));
  }

  /** The hold of the trade itself, whatever is held of its portfolio. */
  ofTrade(portfolioId: string, securityId: string): Hold | undefined {
    return this.#byKey.get(keyOf(portfolioId, securityId));
  }

  has(portfolioId: string, securityId: string): boolean {
    return (this.ofPortfolio(portfolioId) ?? this.ofTrade(portfolioId, securityId)) !== undefined;
  }

  tradesOf(portfolioId: string): number {
    return this.#trades.get(portfolioId) ?? 0;
  }
}

const keyOf = (portfolioId: string, securityId: string | null) =>
  `${portfolioId} ${securityId ?? ""}`;

/** A function that proposes once, however often it is called. */
export function proposing(rebalance_id: string): (note: string) => Promise<Proposal> {
  const headers = { "Idempotency-Key": newKey() };
  return (note) =>
    write<Proposal>("POST", "/api/v1/rebalance/{rebalance_id}/proposal", {
      path: { rebalance_id },
      headers,
      body: note ? { note } : {},
    });
}

/** Decide on the version that was read: if it has changed in between, the service refuses. */
export function decide(proposal: Proposal, given: Decision): Promise<Proposal> {
  const { note, portfolios = [], transactions = [], decision } = given;
  const isAll = !portfolios.length && !transactions.length;
  return write<Proposal>("POST", "/api/v1/proposal/{proposal_id}/decisions", {
    ...toVersion(proposal),
    body: {
      decision,
      version: proposal.version,
      ...(isAll ? { all: true } : { portfolios, transactions }),
      ...(note && { note }),
    },
  });
}

export function withdraw(proposal: Proposal, note: string): Promise<Proposal> {
  return write<Proposal>("POST", "/api/v1/proposal/{proposal_id}/withdraw", {
    ...toVersion(proposal),
    body: { version: proposal.version, ...(note && { note }) },
  });
}

const toVersion = ({ proposal_id, version }: Proposal) => ({
  path: { proposal_id },
  headers: { "If-Match": `"${version}"` },
});
