/** The way back from each page: to where it was opened from, otherwise to the list above it. */

const MOST = 100; // pages that are remembered
const ABOVE: [RegExp, string][] = [
  [/^(.*\/rebalance\/[^/]+)\/.+$/, "$1"],
  [/^(.*)\/rebalance\/[^/]+$/, "$1/runs"],
  [/^(.*)\/model\/[^/]+$/, "$1/models"],
  [/^(.*\/(?:runs|review))\/[^/]+$/, "$1"],
];

const pathOf = (address: string): string => address.replace(/\?.*/, "");

/** The list that a page belongs to; undefined for a page of the menu. */
export function above(path: string): string | undefined {
  const found = ABOVE.find(([pattern]) => pattern.test(path));
  return found && path.replace(...found);
}

/** The address that each page was opened from. */
export class Origins {
  private byPath = new Map<string, string>();

  /** Remember from which address a page is opened. The page beside another has the same origin. */
  remember(from: string, to: string, isBeside = false): void {
    const path = pathOf(to);
    const origin = isBeside ? this.byPath.get(pathOf(from)) : from;
    if (path === pathOf(from) || !origin) return;
    this.byPath.delete(path); // so that the map is in the order of the visits
    this.byPath.set(path, origin);
    const [oldest] = this.byPath.keys();
    if (oldest !== undefined && this.byPath.size > MOST) this.byPath.delete(oldest);
  }

  /** Where to go back to, once: two pages that lead to each other would otherwise never let go. */
  take(path: string): string | undefined {
    const list = above(path);
    if (!list) return undefined;
    const origin = this.byPath.get(path);
    this.byPath.delete(path);
    return origin ?? list;
  }
}

export const origins = new Origins();
