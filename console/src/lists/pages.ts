/** Rows of a long list, read from the service a page at a time as they come into view. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Page, type ServiceError, toServiceError } from "../api.ts";
import {
  type Group,
  type Grouping,
  type Heads,
  linesOf,
  rowsOn,
  segmentAt,
  segmentsOf,
  wholeList,
} from "./groups.ts";

export const PAGE_ROWS = 200;
const FIRST_ROWS = 60;
const LOOK_UP_EVERY_MS = 100;
const WHOLE = ""; // in place of a group

export interface PagedRows<Row> {
  total: number | undefined; // rows that match
  lines?: number; // of a list in groups: with their heads, without the rows of closed ones
  heads?: Heads;
  grouping?: Grouping;
  rowAt: (line: number) => Row | undefined;
  onWindow: (first: number, last: number) => void;
  error: ServiceError | undefined;
  reload: () => void;
}

/** The rows in view, for what is looked up of them; `onWindow` is for the grid that shows them. */
export function useShown<Row>(rows: PagedRows<Row>) {
  const [[first, last], setWindow] = useState<readonly [number, number]>([0, FIRST_ROWS]);
  const count = Math.max(0, Math.min(last, rows.lines ?? rows.total ?? 0) - first);
  const shown = Array.from({ length: count }, (_, each) => rows.rowAt(first + each)).filter(
    (row) => row !== undefined,
  );
  const latest = useRef<readonly [number, number]>([0, FIRST_ROWS]);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);
  const onWindow = useCallback(
    (from: number, to: number) => {
      latest.current = [from, to];
      // Every row is drawn anew for a new window: while one scrolls, only so often.
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        setWindow(latest.current);
      }, LOOK_UP_EVERY_MS);
      rows.onWindow(from, to);
    },
    [rows.onWindow],
  );
  return { shown, onWindow };
}

export type FetchPage<Row> = (
  offset: number,
  limit: number,
  signal: AbortSignal,
  group: string,
) => Promise<Page<Row>>;

/** Pages that were read, of each group for itself; `totals` has how many rows match. */
const newCache = <Row>() => ({
  totals: new Map<string, number>(),
  pages: new Map<string, Row[]>(),
  asked: new Set<string>(),
  control: new AbortController(),
});

/** Read pages of the list that `key` names, in groups if there are some; another key begins anew. */
export function usePages<Row>(
  key: string,
  fetchPage: FetchPage<Row>,
  pageRows = PAGE_ROWS,
  groups?: readonly Group[],
): PagedRows<Row> {
  const [turn, setTurn] = useState(0);
  const [error, setError] = useState<ServiceError>();
  const [, redraw] = useState(0);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const cache = useRef(newCache<Row>());
  const latest = useRef(fetchPage);
  latest.current = fetchPage;

  const ask = useCallback(async (group: string, page: number, limit: number) => {
    const { control, asked, pages, totals } = cache.current;
    const name = `${group} ${page} ${limit}`;
    if (asked.has(name)) return;
    asked.add(name);
    try {
      const found = await latest.current(page * limit, limit, control.signal, group);
      if (control.signal.aborted) return;
      pages.set(name, found.rows);
      totals.set(group, found.total);
      setError(undefined);
      redraw((former) => former + 1);
    } catch (reason) {
      if (control.signal.aborted) return;
      asked.delete(name);
      setError(toServiceError(reason));
    }
  }, []);
  const values = groups?.map(({ value }) => value).join();
  useEffect(() => {
    cache.current = newCache();
    setError(undefined);
    redraw((former) => former + 1);
    // Of a group one row, because its number of rows is all that its head needs.
    for (const { value } of groups ?? []) void ask(value, 0, 1);
    void ask(WHOLE, 0, groups ? 1 : pageRows);
    const { control } = cache.current;
    return () => control.abort();
  }, [key, values, turn]);

  const { totals } = cache.current;
  const isKnown = (groups ?? []).every(({ value }) => totals.has(value));
  const total = isKnown ? totals.get(WHOLE) : undefined;
  const segments = useMemo(
    () => (groups ? segmentsOf(groups, totals, closed) : wholeList(total ?? 0)),
    [values, closed, total],
  );
  const onWindow = useCallback(
    (first: number, last: number) => {
      for (const { value, from, to } of rowsOn(segments, first, last)) {
        for (let page = Math.floor(from / pageRows); page * pageRows < to; page += 1) {
          void ask(value, page, pageRows);
        }
      }
    },
    [ask, pageRows, segments],
  );
  const rowAt = (line: number) => {
    const segment = segmentAt(segments, line);
    if (!segment?.isOpen) return undefined;
    const place = line - segment.head - 1;
    const name = `${segment.value} ${Math.floor(place / pageRows)} ${pageRows}`;
    return place < 0 ? undefined : cache.current.pages.get(name)?.[place % pageRows];
  };
  const toggle = useCallback((value: string) => {
    setClosed((former) => {
      const next = new Set(former);
      if (!next.delete(value)) next.add(value);
      return next;
    });
  }, []);
  const inGroups = groups && {
    lines: linesOf(segments),
    heads: { segments, toggle },
  };
  const reload = useCallback(() => setTurn((former) => former + 1), []);
  return { total, error, rowAt, onWindow, reload, ...inGroups };
}
