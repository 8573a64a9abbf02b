/** The list that a page was opened from, which knows the pages before and after it. */

interface Trail {
  hrefAt: (index: number) => string | undefined;
  index: number;
}

let trail: Trail | undefined;

/** Remember the list, and the row of it that is opened. */
export function leaveTrail(hrefAt: Trail["hrefAt"], index: number): void {
  trail = { hrefAt, index };
}

/** Where the row beside that of `href` leads, undefined beyond what the list has read. */
export function beside(href: string, by: number): string | undefined {
  return trail?.hrefAt(trail.index) === href ? trail.hrefAt(trail.index + by) : undefined;
}

/** Go from the row of `href` to the one beside it. */
export function moveTrail(href: string, by: number): void {
  if (trail && beside(href, by) !== undefined) trail = { ...trail, index: trail.index + by };
}
