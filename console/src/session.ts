/** Who is signed in, how one signs in, and what the one who is may do. */

import { signal } from "@preact/signals";
import { read, type Schema, write } from "./api.ts";

export type Session = Schema<"SessionAnswer">;

/** Undefined until the service has answered. */
export const session = signal<Session>();

export async function readSession(): Promise<void> {
  session.value = await read("/session");
}

/** The key is sent this once; from then on the browser sends a cookie, which no script can read. */
export async function signIn(key: string): Promise<void> {
  session.value = await write<Session>("POST", "/session", { body: { key } });
}

/** End the session here, and at the identity provider if it has a page for that. */
export async function signOut(): Promise<void> {
  const { sign_out_url } = await write<Schema<"SignedOutAnswer">>("DELETE", "/session");
  if (sign_out_url) location.assign(sign_out_url);
  else await readSession();
}

export const isSignedIn = (known: Session): boolean =>
  !known.authenticates || known.caller !== null;

/** Whether the caller has a scope; without AUTH everybody has all. */
export function may(scope: string): boolean {
  const known = session.value;
  if (!known) return false;
  return !known.authenticates || (known.caller?.scopes.includes(scope) ?? false);
}

/** Whether the caller may see a list over all models and portfolios. */
export function mayAll(scope: string): boolean {
  const caller = session.value?.caller;
  return may(scope) && (caller?.models ?? null) === null && (caller?.portfolios ?? null) === null;
}

/** Why something is not offered; undefined if it is. */
export const whyNot = (scope: string): string | undefined =>
  may(scope) ? undefined : `needs the permission ${scope}, which you do not have`;

const LONGEST_RETURN = 1000; // characters that the service accepts

/** Where the provider sends the browser back to: the page that was asked for. */
export function providerAddress(login: string): string {
  const here = location.pathname + location.search;
  const return_to = here.length > LONGEST_RETURN ? location.pathname : here;
  return `${login}?${new URLSearchParams({ return_to })}`;
}
