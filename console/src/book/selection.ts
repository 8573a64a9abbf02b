/** Portfolios that somebody chose in the book; kept in the tab while they look at others. */

import { useState } from "preact/hooks";

const KEY = "chosen portfolios";
/** Of one run: its request names each of them. */
export const MAX_CHOSEN = 10_000;

function restore(): ReadonlySet<string> {
  try {
    return new Set(JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as string[]);
  } catch {
    return new Set();
  }
}

export interface Selection {
  chosen: ReadonlySet<string>;
  toggle: (id: string) => void;
  add: (ids: Iterable<string>) => void;
  clear: () => void;
}

export function useSelection(): Selection {
  const [chosen, setChosen] = useState(restore);
  const keep = (ids: ReadonlySet<string>) => {
    sessionStorage.setItem(KEY, JSON.stringify([...ids]));
    setChosen(ids);
  };
  return {
    chosen,
    toggle: (id) => {
      const next = new Set(chosen);
      if (!next.delete(id) && next.size < MAX_CHOSEN) next.add(id);
      keep(next);
    },
    add: (ids) => keep(new Set([...chosen, ...ids].slice(0, MAX_CHOSEN))),
    clear: () => keep(new Set()),
  };
}
