/** What is looked up of the rows in view: once for each id, and together for those of one look. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export class Lookup<Value> {
  readonly #known = new Map<string, Value | null>();
  readonly #wanted = new Set<string>();
  readonly #asked = new Set<string>();
  readonly #lookUp: (ids: string[]) => Promise<Iterable<[string, Value | null]>>;
  readonly #mostIds: number;
  readonly #version = signal(0);
  #isWaiting = false;

  /** `lookUp` is asked for `mostIds` at once; what it leaves out is not there. */
  constructor(
    mostIds: number,
    lookUp: (ids: string[]) => Promise<Iterable<[string, Value | null]>>,
  ) {
    this.#mostIds = mostIds;
    this.#lookUp = lookUp;
  }

  /** The value, undefined while it is on its way, null where there is none or no answer came;
      a page that asks is drawn again when it is known. */
  get(id: string): Value | null | undefined {
    this.#version.value;
    return this.#known.get(id);
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
    const ids = [...this.#wanted].filter((id) => !this.#asked.has(id));
    this.#wanted.clear();
    for (const id of ids) this.#asked.add(id);
    for (let first = 0; first < ids.length; first += this.#mostIds) {
      const part = ids.slice(first, first + this.#mostIds);
      let found: Iterable<[string, Value | null]> = [];
      try {
        found = await this.#lookUp(part);
      } catch {
        // the rows are shown without
      }
      for (const id of part) this.#known.set(id, null);
      for (const [id, value] of found) this.#known.set(id, value);
      this.#version.value += 1;
    }
  }
}

/** Look up what is known of these ids, and go on drawing meanwhile. */
export function useLookup<Value>(
  lookup: Lookup<Value>,
  ids: readonly string[],
): (id: string) => Value | null | undefined {
  const key = ids.join();
  useEffect(() => lookup.want(ids), [lookup, key]);
  return (id) => lookup.get(id);
}
