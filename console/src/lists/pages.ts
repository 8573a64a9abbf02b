/** Rows of a long list, read from the service a page at a time as they come into view. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Page, ServiceError } from "../api.ts";

export const PAGE_ROWS = 200;
const FIRST_ROWS = 60;
const LOOK_UP_EVERY_MS = 100;

export interface PagedRows<Row> {
  total: number | undefined;
  rowAt: (index: number) => Row | undefined;
  onWindow: (first: number, last: number) => void;
  error: ServiceError | undefined;
  reload: () => void;
}

/** The rows in view, for what is looked up of them; `onWindow` is for the grid that shows them. */
export function useShown<Row>(rows: PagedRows<Row>) {
  const [[first, last], setWindow] = useState<readonly [number, number]>([0, FIRST_ROWS]);
  const count = Math.max(0, Math.min(last, rows.total ?? 0) - first);
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

/** Read pages of the list that `key` names; another key begins anew. */
export function usePages<Row>(
  key: string,
  fetchPage: (offset: number, limit: number, signal: AbortSignal) => Promise<Page<Row>>,
  pageRows = PAGE_ROWS,
): PagedRows<Row> {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<{
    total: number | undefined;
    error: ServiceError | undefined;
  }>({ total: undefined, error: undefined });
  const [, redraw] = useState(0);
  const pages = useRef(new Map<number, Row[]>());
  const asked = useRef(new Set<number>());
  const control = useRef(new AbortController());
  const latest = useRef(fetchPage);
  latest.current = fetchPage;

  const ask = useCallback(
    async (page: number) => {
      if (asked.current.has(page)) return;
      asked.current.add(page);
      const { signal } = control.current;
      try {
        const found = await latest.current(page * pageRows, pageRows, signal);
        if (signal.aborted) return;
        pages.current.set(page, found.rows);
        setState({ total: found.total, error: undefined });
        redraw((former) => former + 1);
      } catch (reason) {
        if (signal.aborted) return;
        asked.current.delete(page);
        const error = reason instanceof ServiceError ? reason : new ServiceError(0, {}, null);
        setState((former) => ({ ...former, error }));
      }
    },
    [pageRows],
  );
  useEffect(() => {
    control.current = new AbortController();
    pages.current = new Map();
    asked.current = new Set();
    setState({ total: undefined, error: undefined });
    void ask(0);
    return () => control.current.abort();
  }, [key, turn]);
  const onWindow = useCallback(
    (first: number, last: number) => {
      const from = Math.floor(first / pageRows);
      for (let page = from; page * pageRows < last; page += 1) void ask(page);
    },
    [ask, pageRows],
  );
  const rowAt = (index: number) =>
    pages.current.get(Math.floor(index / pageRows))?.[index % pageRows];
  const reload = useCallback(() => setTurn((former) => former + 1), []);
  return { ...state, rowAt, onWindow, reload };
}
