/** Where an id or a name leads: models and portfolios by name; these, runs and rebalances by id. */

import { address, list, read, ServiceError, write } from "./api.ts";
import { may, mayAll } from "./session.ts";

export interface Found {
  kind: "model" | "run" | "rebalance" | "plan" | "portfolio";
  name: string;
  href: string;
}

const ID = /^[0-9a-fA-F]{24}$/;
const NAME = /^[A-Za-z0-9 _-]{1,200}$/; // what the portfolio service looks for
const MAX_FOUND = 8; // of a kind

/** What a lookup finds; an object that is not stored, or not for the caller, is none. */
async function unlessRefused(look: () => Promise<Found[]>): Promise<Found[]> {
  try {
    return await look();
  } catch (reason) {
    const isRefused = reason instanceof ServiceError && reason.status >= 400 && reason.status < 500;
    if (isRefused) return [];
    throw reason;
  }
}

const modelsNamed = async (name: string): Promise<Found[]> => {
  const { rows } = await list("/api/v1/models", {
    query: { name, sort_by: "name", limit: MAX_FOUND },
  });
  return rows.map((row) => ({ kind: "model", name: row.name, href: `/model/${row.model_id}` }));
};

const modelOf = async (model_id: string): Promise<Found[]> => {
  const { name } = await read("/api/v1/model/{model_id}", { path: { model_id } });
  return [{ kind: "model", name, href: `/model/${model_id}` }];
};

const runOf = async (run_id: string): Promise<Found[]> => {
  const { status } = await read("/api/v1/runs/{run_id}", { path: { run_id } });
  return [{ kind: "run", name: status, href: `/runs/${run_id}` }];
};

const rebalanceOf = async (rebalance_id: string): Promise<Found[]> => {
  const path = { rebalance_id };
  const { model_name } = await read("/api/v1/rebalance/{rebalance_id}/summary", { path });
  return [{ kind: "rebalance", name: model_name, href: `/rebalance/${rebalance_id}` }];
};

interface RebalanceOfPortfolio {
  rebalance_id: string;
  model_name: string;
  rebalance_date: string;
}

const plansOf = async (portfolio: string): Promise<Found[]> => {
  const rows = await write<RebalanceOfPortfolio[]>("POST", "/api/v1/rebalances/portfolios", {
    query: { limit: MAX_FOUND },
    body: { portfolios: [portfolio] },
  });
  return rows.map(({ rebalance_id, model_name, rebalance_date }) => ({
    kind: "plan",
    name: `${model_name}, ${rebalance_date.slice(0, 10)}`,
    href: `/rebalance/${rebalance_id}/portfolio/${encodeURIComponent(portfolio)}`,
  }));
};

/** The newest plan of each portfolio, its place in the book where it has none. */
async function placesOf(ids: readonly string[]): Promise<(id: string) => string> {
  const last = new Map<string, string>();
  if (mayAll("rebalances:read") && ids.length) {
    for (const each of await read("/api/v1/portfolios/last-outcomes", { query: { ids } })) {
      last.set(each.portfolio_id, each.rebalance_id);
    }
  }
  return (id) => {
    const portfolio = encodeURIComponent(id);
    const rebalance = last.get(id);
    if (rebalance) return `/rebalance/${rebalance}/portfolio/${portfolio}`;
    return `/book?portfolio=${portfolio}&portfolio_id=${portfolio}`;
  };
}

async function portfoliosNamed(name: string): Promise<Found[]> {
  const path = address("/api/v1/portfolios", { query: { name } }) as "/api/v1/portfolios";
  const found = (await read(path)).slice(0, MAX_FOUND);
  const placeOf = await placesOf(found.map((each) => each.portfolio_id));
  return found.map(({ portfolio_id: id, name: known }) => ({
    kind: "portfolio",
    name: known ?? id,
    href: placeOf(id),
  }));
}

export interface Answer {
  found: Found[];
  /** Why portfolios were not looked for by name. */
  withoutNames: string | undefined;
}

export async function find(text: string): Promise<Answer> {
  const [found, named] = await Promise.all([findOthers(text), findPortfolios(text)]);
  return { found: [...found, ...named.found], withoutNames: named.withoutNames };
}

/** Portfolios by name; a portfolio service that gives no answer stops no other search. */
async function findPortfolios(text: string): Promise<Answer> {
  if (!may("portfolios:read") || ID.test(text) || !NAME.test(text)) {
    return { found: [], withoutNames: undefined };
  }
  try {
    return { found: await portfoliosNamed(text), withoutNames: undefined };
  } catch (reason) {
    if (!(reason instanceof ServiceError)) throw reason;
    return { found: [], withoutNames: reason.message };
  }
}

async function findOthers(text: string): Promise<Found[]> {
  const looks: (() => Promise<Found[]>)[] = [];
  if (may("models:read")) looks.push(() => modelsNamed(text));
  if (ID.test(text)) {
    if (may("models:read")) looks.push(() => modelOf(text));
    if (may("rebalances:read"))
      looks.push(
        () => runOf(text),
        () => rebalanceOf(text),
      );
  }
  if (mayAll("rebalances:read")) looks.push(() => plansOf(text));
  const found = await Promise.all(looks.map(unlessRefused));
  return found.flat();
}
