/** Requests to the service, with the types of its OpenAPI document. */

import { signal } from "@preact/signals";
import type { components, paths } from "./schema.d.ts";

export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];
type Success = { responses: { 200: { content: { "application/json": unknown } } } };
type Readable = { [P in keyof paths]: paths[P] extends { get: Success } ? P : never }[keyof paths];
type Answer<P extends Readable> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer Body } } } };
}
  ? Body
  : never;

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;
export interface Arguments {
  path?: Record<string, string>;
  query?: Query;
  signal?: AbortSignal;
}
/** Fields whose numbers are wanted as texts, where a route answers numbers. */
type Exact = Arguments & { exact?: readonly string[] };
export interface Page<Row> {
  rows: Row[];
  total: number;
}

const TIMEOUT_MS = 30_000;
/** How often the service did not know who asks: a session may have ended. */
export const refusals = signal(0);
export const isOffline = signal(false);

/** A refusal of the service; `status` is 0 where no answer came. */
export class ServiceError extends Error {
  readonly status: number;
  readonly problem: Partial<Schema<"Problem">>;
  readonly retryAfterS: number | null;

  constructor(status: number, problem: Partial<Schema<"Problem">>, retryAfterS: number | null) {
    super(problem.detail ?? problem.title ?? `the service answered ${status}`);
    this.status = status;
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** What was thrown as a ServiceError, because pages show nothing else. */
export const toServiceError = (reason: unknown): ServiceError =>
  reason instanceof ServiceError ? reason : new ServiceError(0, { detail: String(reason) }, null);

export function address(template: string, given: Arguments = {}): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(given.path?.[name] ?? ""),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given.query ?? {})) {
    if (value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
  }
  return query.size ? `${path}?${query}` : path;
}

/** Send a request; a refusal, and no answer in time, are a ServiceError. */
export async function send(
  url: string,
  init: RequestInit,
  timeoutMs = TIMEOUT_MS,
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("Accept")) headers.set("Accept", "application/json");
  const late = AbortSignal.timeout(timeoutMs);
  const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers, signal });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    isOffline.value = true;
    const detail = late.aborted
      ? `no answer within ${timeoutMs / 1000} seconds`
      : "the service cannot be reached";
    throw new ServiceError(0, { title: "No answer", detail }, null);
  }
  isOffline.value = false;
  if (response.status === 401) refusals.value += 1;
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<ServiceError> {
  const wait = Number(response.headers.get("Retry-After"));
  let problem: Partial<Schema<"Problem">>;
  try {
    problem = (await response.json()) as Schema<"Problem">;
  } catch {
    problem = { title: response.statusText || "The answer is no problem document" };
  }
  return new ServiceError(response.status, problem, wait > 0 ? wait : null);
}

export async function read<P extends Readable>(path: P, given: Exact = {}): Promise<Answer<P>> {
  const response = await send(address(path, given), given.signal ? { signal: given.signal } : {});
  return (
    given.exact ? parseExact(await response.text(), given.exact) : await response.json()
  ) as Answer<P>;
}

/** A document that the OpenAPI document does not describe: that document itself. */
export async function readDocument<Body>(url: string): Promise<Body> {
  return (await (await send(url, {})).json()) as Body;
}

/** A page of a list with the number of all its rows. */
export async function list<P extends Readable>(
  path: P,
  given: Exact = {},
): Promise<Page<Answer<P> extends (infer Row)[] ? Row : never>> {
  const response = await send(address(path, given), given.signal ? { signal: given.signal } : {});
  const rows = given.exact ? parseExact(await response.text(), given.exact) : await response.json();
  const total = Number(response.headers.get("X-Total-Count") ?? rows.length);
  return { rows, total };
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/** JSON whose numbers in these fields become texts with the digits that they were sent with. */
export function parseExact(text: string, fields: readonly string[]) {
  const names = new Set(fields);
  const keep: Reviver = (key, value, context) =>
    typeof value === "number" && names.has(key) ? (context?.source ?? String(value)) : value;
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown);
}

/** A key for one change, so that a repeated click or a lost answer makes it once. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
}

/** A change; the answer's body, undefined where it has none. */
export async function write<Body>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  given: Arguments & { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Body> {
  const headers = {
    ...given.headers,
    ...(given.body === undefined ? {} : { "Content-Type": "application/json" }),
  };
  const body = given.body === undefined ? null : JSON.stringify(given.body);
  const response = await send(address(path, given), { method, headers, body });
  return (response.status === 204 ? undefined : await response.json()) as Body;
}

/** Save an answer of another media type as a file. */
export async function download(url: string, mediaType: string, name: string): Promise<void> {
  await save(await send(url, { headers: { Accept: mediaType } }), name);
}

export async function save(response: Response, name: string): Promise<void> {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
