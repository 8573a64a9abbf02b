/** Lists whose rows stand in groups, each under a line of its own that opens and closes it. */

export interface Group {
  value: string;
  words: string;
}

/** A filter of the service whose values make the groups. */
export interface GroupedBy {
  filter: string;
  words: string;
  groups: readonly Group[];
}

export interface Grouping {
  choices: readonly GroupedBy[];
  chosen: GroupedBy | undefined;
  choose: (filters: readonly string[]) => void;
}

/** A group that has rows, and the line of the list at which its head stands. */
export interface Segment extends Group {
  total: number;
  isOpen: boolean;
  head: number;
}

/** What a grid knows of the groups of its rows. */
export interface Heads {
  segments: readonly Segment[];
  toggle: (value: string) => void;
}

export const headAt = (heads: Heads | undefined, line: number): Segment | undefined =>
  heads?.segments.find(({ head }) => head === line);

/** A list that is not grouped: one group, whose head would stand before the first line. */
export const wholeList = (total: number): Segment[] => [
  { value: "", words: "", total, isOpen: true, head: -1 },
];

/** The groups that have rows, in the order that is given. */
export function segmentsOf(
  groups: readonly Group[],
  totals: ReadonlyMap<string, number>,
  closed: ReadonlySet<string>,
): Segment[] {
  const found: Segment[] = [];
  for (const group of groups) {
    const total = totals.get(group.value) ?? 0;
    const isOpen = !closed.has(group.value);
    if (total) found.push({ ...group, total, isOpen, head: linesOf(found) });
  }
  return found;
}

/** Lines of all segments, with their heads. */
export function linesOf(segments: readonly Segment[]): number {
  const last = segments.at(-1);
  return last ? last.head + 1 + (last.isOpen ? last.total : 0) : 0;
}

export const segmentAt = (segments: readonly Segment[], line: number): Segment | undefined =>
  segments.findLast(({ head }) => head <= line);

/** Which rows of which groups stand on the lines from `first` to before `end`. */
export function rowsOn(segments: readonly Segment[], first: number, end: number) {
  return segments.flatMap(({ value, head, isOpen, total }) => {
    const from = Math.max(0, first - head - 1);
    const to = Math.min(isOpen ? total : 0, end - head - 1);
    return from < to ? [{ value, from, to }] : [];
  });
}

/** Where lines stand whose heads are lower than the other lines, and which line stands where. */
export function placesOf(segments: readonly Segment[], headPx: number, rowPx: number) {
  const topOf = (line: number) =>
    line * rowPx - segments.filter(({ head }) => head < line).length * (rowPx - headPx);
  const lineAt = (px: number) => {
    const { head } = segments.findLast((each) => topOf(each.head) <= px) ?? { head: -1 };
    const below = head < 0 ? px : px - topOf(head) - headPx;
    return Math.max(head, head + 1 + Math.floor(below / rowPx));
  };
  return { topOf, lineAt };
}
