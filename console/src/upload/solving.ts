/** Files to solve: how they are sent, and what the service answers. Nothing is stored by it. */

import { type Schema, ServiceError, save, send } from "../api.ts";
import { divide, sum } from "../exact.ts";
import type { Plan } from "../plan/plan.tsx";

export type Outcome = Schema<"RebalanceAnswer">;
export interface Solved {
  outcomes: readonly Outcome[];
  /** Why none has a plan; the outcomes are then the first of them. */
  problem?: ServiceError;
}
/** A rule that is broken, and its place, which is a cell if a file breaks it. */
export type Fault = Schema<"ErrorPlace">;

const PATH = "/api/v1/optimize";
const SOLVE_TIMEOUT_MS = 120_000; // 1,000 portfolios, and the start of a worker
const WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

const isJson = (file: File): boolean => /\.json$/i.test(file.name);

/** The request of `ordergen optimize`: tables as a form, or the JSON of the route alone. */
export function bodyOf(files: readonly File[], options: string): RequestInit {
  const [only] = files;
  if (only && files.length === 1 && isJson(only)) {
    return { method: "POST", body: only, headers: { "Content-Type": "application/json" } };
  }
  const form = new FormData();
  for (const file of files) form.append(isJson(file) ? "options" : "file", file, file.name);
  if (options.trim()) form.append("options", options);
  return { method: "POST", body: form };
}

export async function solve(body: RequestInit, signal: AbortSignal): Promise<Solved> {
  try {
    const response = await send(`${PATH}?positions=true`, { ...body, signal }, SOLVE_TIMEOUT_MS);
    return { outcomes: (await response.json()) as Outcome[] };
  } catch (reason) {
    const listed = reason instanceof ServiceError && reason.problem["portfolios"];
    if (!Array.isArray(listed)) throw reason;
    return { outcomes: listed as Outcome[], problem: reason as ServiceError };
  }
}

/** Solve again, which has the same outcomes, and save the workbook of them. */
export async function downloadWorkbook(body: RequestInit): Promise<void> {
  const headers = new Headers(body.headers);
  headers.set("Accept", WORKBOOK);
  await save(await send(PATH, { ...body, headers }, SOLVE_TIMEOUT_MS), "rebalance.xlsx");
}

/** The faults of the files, if that is why the service refused them. */
export function faultsOf({ problem }: ServiceError): readonly Fault[] {
  return (problem.errors ?? []) as readonly Fault[];
}

export function planOf(outcome: Outcome): Plan {
  const positions = outcome.positions ?? [];
  return {
    ...outcome,
    positions,
    problem: outcome.error,
    transactions: outcome.transactions.length,
    before: totals(
      positions.map((each) => [each.original_deviation, each.original_side]),
      outcome.market_value,
    ),
    after: totals(
      positions.map((each) => [each.deviation, each.side]),
      outcome.base,
    ),
  };
}

type Distance = readonly [deviation: string, side: string | null];

function totals(distances: readonly Distance[], value: string | null): Plan["before"] {
  if (!distances.length || value === null) return null;
  const total_drift = sum(distances.map(([deviation]) => deviation.replace("-", "")));
  const out_of_band = distances.filter(([, side]) => side !== null).length;
  return { total_drift, out_of_band, total_drift_weight: divide(total_drift, value) };
}
