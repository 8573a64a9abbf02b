/** A table of any length: the rows in view are in the document, cards on a narrow screen. */

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { keyList } from "../keys.ts";
import { nextSort } from "./filters.ts";

export interface Column<Row> {
  key: string;
  head: string;
  width?: string; // of a grid track
  isNumber?: boolean;
  isSortable?: boolean;
  isFixed?: boolean; // shown whatever columns somebody chooses
  isOnlyWide?: boolean; // left out of the cards of a narrow screen
  headCell?: ComponentChildren; // in place of the head, which then names it to screen readers
  cell: (row: Row) => ComponentChildren;
}

export interface GridProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  total: number;
  rowAt: (index: number) => Row | undefined;
  keyOf?: (row: Row) => string;
  href?: (row: Row) => string | undefined;
  onWindow?: (first: number, last: number) => void;
  sort?: string;
  onSort?: (sort: string) => void;
  current?: number;
  onCurrent?: (index: number) => void;
  onSelect?: (row: Row) => void; // by x
}

const ROW_PX = 32;
const CARD_LINE_PX = 24;
const OVERSCAN = 8;
export const MAX_UNWINDOWED = 60;
const NARROW = "(max-width: 640px)";

function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const hear = () => setNarrow(query.matches);
    query.addEventListener("change", hear);
    return () => query.removeEventListener("change", hear);
  }, []);
  return isNarrow;
}

export function Grid<Row>(props: GridProps<Row>) {
  const { total, rowAt } = props;
  const [, navigate] = useLocation();
  const isNarrow = useNarrow();
  const columns = props.columns.filter(({ isOnlyWide }) => !(isNarrow && isOnlyWide));
  const region = useRef<HTMLDivElement>(null);
  const [own, setOwn] = useState(-1);
  const current = props.current ?? own;
  const rowPx = isNarrow ? columns.length * CARD_LINE_PX + 18 : ROW_PX;
  const isWindowed = total > MAX_UNWINDOWED;
  const [seen, setSeen] = useState({ first: 0, last: MAX_UNWINDOWED });
  const first = isWindowed ? Math.max(0, seen.first - OVERSCAN) : 0;
  const last = isWindowed ? Math.min(total, seen.last + OVERSCAN) : total;

  const measure = () => {
    const box = region.current;
    if (!box || !isWindowed) return;
    const top = Math.floor(box.scrollTop / rowPx);
    const bottom = top + Math.ceil(box.clientHeight / rowPx);
    setSeen((former) =>
      former.first === top && former.last === bottom ? former : { first: top, last: bottom },
    );
  };
  useLayoutEffect(measure, [total, rowPx, isWindowed]);
  useEffect(() => props.onWindow?.(first, last), [first, last, props.onWindow]);

  const move = (to: number) => {
    const next = Math.max(0, Math.min(total - 1, to));
    setOwn(next);
    props.onCurrent?.(next);
    const box = region.current;
    if (!box) return;
    if (isWindowed) {
      const top = next * rowPx;
      const room = box.clientHeight - ROW_PX - rowPx;
      box.scrollTop = Math.min(top, Math.max(box.scrollTop, top - room));
      box.scrollIntoView({ block: "nearest" });
    } else {
      box.querySelector(`[data-row="${next}"]`)?.scrollIntoView({ block: "nearest" });
    }
  };
  const open = () => {
    const row = current < 0 ? undefined : rowAt(current);
    const target = row && props.href?.(row);
    if (target) navigate(target);
  };
  const select = () => {
    const row = current < 0 ? undefined : rowAt(current);
    if (row) props.onSelect?.(row);
  };
  const state = useRef({ move, open, select, current });
  state.current = { move, open, select, current };
  useLayoutEffect(
    () =>
      keyList({
        move: (by) => state.current.move(state.current.current + by),
        open: () => state.current.open(),
        select: () => state.current.select(),
      }),
    [],
  );

  const tracks = { "--tracks": columns.map(({ width }) => width ?? "minmax(0, 1fr)").join(" ") };
  const cells = (row: Row) =>
    columns.map(({ key, head, isNumber, cell }) => (
      <span key={key} role="cell" data-head={head} class={isNumber ? "number" : undefined}>
        {cell(row)}
      </span>
    ));
  const line = (index: number) => {
    const row = rowAt(index);
    const look = index === current ? "row current" : "row";
    return (
      <div
        key={row && props.keyOf ? props.keyOf(row) : index}
        role="row"
        aria-rowindex={index + 2}
        data-row={index}
        class={look}
        style={isWindowed ? { top: `${index * rowPx}px`, height: `${rowPx}px` } : undefined}
        onMouseEnter={props.onCurrent && (() => props.onCurrent?.(index))}
      >
        {row
          ? cells(row)
          : columns.map(({ key }) => <span key={key} role="cell" class="pending" />)}
      </div>
    );
  };
  const indexes = Array.from({ length: Math.max(0, last - first) }, (_, each) => first + each);
  return (
    <div
      ref={region}
      class={isWindowed ? "grid windowed" : "grid"}
      role="region"
      aria-label={props.label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must take the focus
      tabIndex={0}
      onScroll={measure}
    >
      <div role="table" aria-label={props.label} aria-rowcount={total + 1} style={tracks}>
        <div role="rowgroup">
          <div class="row heads" role="row" aria-rowindex={1}>
            {columns.map((column) => (
              <Head key={column.key} column={column} sort={props.sort} onSort={props.onSort} />
            ))}
          </div>
        </div>
        <div
          role="rowgroup"
          class="body"
          style={isWindowed ? { height: `${total * rowPx}px` } : undefined}
        >
          {indexes.map(line)}
        </div>
      </div>
    </div>
  );
}

function Head<Row>(props: {
  column: Column<Row>;
  sort: string | undefined;
  onSort: ((sort: string) => void) | undefined;
}) {
  const { key, head, headCell, isNumber, isSortable } = props.column;
  const { sort = "", onSort } = props;
  const order = sort === key ? "ascending" : sort === `-${key}` ? "descending" : "none";
  const look = isNumber ? "number" : undefined;
  if (!isSortable || !onSort) {
    return (
      <span role="columnheader" class={look}>
        {headCell ? (
          <>
            <span class="unseen">{head}</span>
            {headCell}
          </>
        ) : (
          head
        )}
      </span>
    );
  }
  return (
    <span role="columnheader" aria-sort={order} class={look}>
      <button type="button" onClick={() => onSort(nextSort(sort, key))}>
        {head} {order === "none" ? "" : order === "ascending" ? "↑" : "↓"}
      </button>
    </span>
  );
}
