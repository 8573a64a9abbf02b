/** Filters of a list, kept in the address so that a link shows the same rows. */

export type Filters = Record<string, string>;

export function readFilters(search: string, names: readonly string[]): Filters {
  const given = new URLSearchParams(search);
  const found: Filters = {};
  for (const name of names) {
    const value = given.get(name);
    if (value) found[name] = value;
  }
  return found;
}

/** The address with some filters changed; an empty value takes a filter away. */
export function withFilters(path: string, search: string, changes: Filters): string {
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  query.sort();
  return query.size ? `${path}?${query}` : path;
}

/** The next sort by a column: descending, ascending, then as the service orders. */
export function nextSort(present: string, column: string): string {
  if (present === `-${column}`) return column;
  return present === column ? "" : `-${column}`;
}
