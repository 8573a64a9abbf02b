/** What somebody chose for a list, remembered in the browser: columns that are hidden, their order, groups. */

// Another form gets another number, so that an old page ignores it.
const PREFIXES = { hide: "columns.v1.", order: "order.v1.", group: "group.v1." } as const;
const MOST = 100; // names that are believed

export type Kind = keyof typeof PREFIXES;

/** Names of columns from a stored text; none where it is no list of names. */
export function parseNames(text: string | null): readonly string[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(value) || value.length > MOST) return [];
    return value.every((each) => typeof each === "string") ? value : [];
  } catch {
    return [];
  }
}

/** Names of columns that an address has for a list; undefined where it says nothing of them. */
export function namesIn(search: string, kind: Kind, list: string): readonly string[] | undefined {
  return new URLSearchParams(search).get(`${kind}.${list}`)?.split(",").slice(0, MOST);
}

// The storage itself may be refused by the browser: then the choice lasts as long as the page.
export function readNames(kind: Kind, list: string): readonly string[] {
  try {
    return parseNames(localStorage.getItem(PREFIXES[kind] + list));
  } catch {
    return [];
  }
}

export function storeNames(kind: Kind, list: string, names: readonly string[]): void {
  try {
    if (names.length) localStorage.setItem(PREFIXES[kind] + list, JSON.stringify(names));
    else localStorage.removeItem(PREFIXES[kind] + list);
  } catch {
    // as above
  }
}

/** Those that are named first, in the order of their names, then the others as they stand. */
export function arrange<Named extends { key: string }>(
  given: readonly Named[],
  names: readonly string[],
): Named[] {
  const place = (key: string) => (names.includes(key) ? names.indexOf(key) : names.length);
  return [...given].sort((one, other) => place(one.key) - place(other.key));
}

/** The names with one of them a place further on; nothing to remember where that is the usual order. */
export function moved(
  usual: readonly string[],
  names: readonly string[],
  name: string,
  by: number,
) {
  const next = [...names];
  const from = next.indexOf(name);
  next.splice(from, 1);
  next.splice(Math.max(0, from + by), 0, name);
  return next.join() === usual.join() ? [] : next;
}
