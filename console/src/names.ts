/** Tickers of securities and names of portfolios, looked up once for each id. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { address, read } from "./api.ts";

const MAX_IDS = 100; // of one request

class NameBook {
  readonly #known = new Map<string, string | null>();
  readonly #wanted = new Set<string>();
  readonly #lookUp: (ids: string[]) => Promise<Iterable<[string, string | null]>>;
  readonly #version = signal(0);
  #isWaiting = false;

  constructor(lookUp: (ids: string[]) => Promise<Iterable<[string, string | null]>>) {
    this.#lookUp = lookUp;
  }

  /** The name, undefined while it is not known; a page that asks is drawn again when it is. */
  get(id: string): string | undefined {
    this.#version.value;
    return this.#known.get(id) ?? undefined;
  }

  want(ids: Iterable<string>): void {
    for (const id of ids) if (!this.#known.has(id)) this.#wanted.add(id);
    if (this.#wanted.size && !this.#isWaiting) {
      this.#isWaiting = true;
      setTimeout(() => void this.#fetch(), 20); // so that the rows of one look share a request
    }
  }

  async #fetch(): Promise<void> {
    this.#isWaiting = false;
    const ids = [...this.#wanted];
    this.#wanted.clear();
    for (let first = 0; first < ids.length; first += MAX_IDS) {
      const part = ids.slice(first, first + MAX_IDS);
      for (const id of part) this.#known.set(id, null);
      try {
        for (const [id, name] of await this.#lookUp(part)) this.#known.set(id, name);
        this.#version.value += 1;
      } catch {
        // a page without names shows ids
      }
    }
  }
}

const several = (path: string, ids: string[]) =>
  `${address(path)}?${ids.map((id) => `ids=${encodeURIComponent(id)}`).join("&")}`;

const tickers = new NameBook(async (ids) =>
  (await read(several("/api/v1/securities", ids) as "/api/v1/securities")).map((each) => [
    each.security_id,
    each.ticker,
  ]),
);
const portfolios = new NameBook(async (ids) =>
  (await read(several("/api/v1/portfolios", ids) as "/api/v1/portfolios")).map((each) => [
    each.portfolio_id,
    each.name,
  ]),
);

function useBook(book: NameBook, ids: readonly string[]): (id: string) => string | undefined {
  const key = ids.join();
  useEffect(() => book.want(ids), [key]);
  return (id) => book.get(id);
}

export const useTickers = (ids: readonly string[]) => useBook(tickers, ids);
export const usePortfolioNames = (ids: readonly string[]) => useBook(portfolios, ids);
