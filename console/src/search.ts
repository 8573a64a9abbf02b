/** Where an id or a name leads: models by name; models, runs, rebalances and portfolios by id. */

import { list, read, ServiceError, write } from "./api.ts";
import { may, mayAll } from "./session.ts";

export interface Found {
  kind: "model" | "run" | "rebalance" | "plan";
  name: string;
  href: string;
}

const ID = /^[0-9a-fA-F]{24}$/;
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

export async function find(text: string): Promise<Found[]> {
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
