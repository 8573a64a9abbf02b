/** Reasons of the service with tickers in place of the ids of securities. */

import { useTickers } from "../names.ts";

const ID = /\b[0-9a-fA-F]{24}\b/g;

export function useReasons(texts: readonly string[]): (text: string) => string {
  const tickerOf = useTickers(texts.flatMap((text) => text.match(ID) ?? []));
  return (text) => text.replace(ID, (id) => tickerOf(id) ?? id);
}
