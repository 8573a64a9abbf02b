/** Which columns of a list somebody has hidden, remembered in the browser. */

const PREFIX = "columns.v1."; // another form gets another number, so that an old page ignores it
const MOST = 100; // names that are believed

/** Names of columns from a stored text; none where it is no list of names. */
export function parseHidden(text: string | null): readonly string[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(value) || value.length > MOST) return [];
    return value.every((each) => typeof each === "string") ? value : [];
  } catch {
    return [];
  }
}

/** Names of columns that an address hides in a list; undefined where it says nothing of them. */
export function hiddenIn(search: string, list: string): readonly string[] | undefined {
  return new URLSearchParams(search).get(`hide.${list}`)?.split(",").slice(0, MOST);
}

// The storage itself may be refused by the browser: then the choice lasts as long as the page.
export function readHidden(list: string): readonly string[] {
  try {
    return parseHidden(localStorage.getItem(PREFIX + list));
  } catch {
    return [];
  }
}

export function storeHidden(list: string, hidden: readonly string[]): void {
  try {
    if (hidden.length) localStorage.setItem(PREFIX + list, JSON.stringify(hidden));
    else localStorage.removeItem(PREFIX + list);
  } catch {
    // as above
  }
}
