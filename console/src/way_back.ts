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

export class Ways {
  private origins = new Map<string, string>();

  /** Remember from which address a page is opened. The page beside another has the same origin. */
  remember(from: string, to: string, isBeside = false): void {
    const path = pathOf(to);
    const origin = isBeside ? this.origins.get(pathOf(from)) : from;
    if (path === pathOf(from) || !origin) return;
    this.origins.delete(path); // so that the map is in the order of the visits
    this.origins.set(path, origin);
    const [oldest] = this.origins.keys();
    if (oldest !== undefined && this.origins.size > MOST) this.origins.delete(oldest);
  }

  /** Where to go back to, once: two pages that lead to each other would otherwise never let go. */
  take(path: string): string | undefined {
    const list = above(path);
    if (!list) return undefined;
    const origin = this.origins.get(path);
    this.origins.delete(path);
    return origin ?? list;
  }
}

export const ways = new Ways();
