/** A table of any length: the rows in view are in the document, cards on a narrow screen. */

import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { keyList } from "../keys.ts";
import { nextSort } from "./filters.ts";
import { leaveTrail } from "./trail.ts";

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
  const hrefAt = (index: number) => {
    const row = index < 0 ? undefined : rowAt(index);
    return row && props.href?.(row);
  };
  const open = () => {
    const target = hrefAt(current);
    if (!target) return;
    leaveTrail(hrefAt, current);
    navigate(target);
  };
  const leave = (event: MouseEvent) => {
    const target = event.target as Element;
    const index = target.closest("a") && target.closest("[data-row]")?.getAttribute("data-row");
    if (index) leaveTrail(hrefAt, Number(index));
  };
  const copy = () =>
    region.current?.querySelector<HTMLElement>(`[data-row="${current}"] button.id`)?.click();
  const select = () => {
    const row = current < 0 ? undefined : rowAt(current);
    if (row) props.onSelect?.(row);
  };
  const { onCurrent } = props;
  const state = useRef({ move, open, select, copy, current, onCurrent });
  state.current = { move, open, select, copy, current, onCurrent };
  const enter = useCallback((index: number) => state.current.onCurrent?.(index), []);
  useLayoutEffect(
    () =>
      keyList({
        move: (by) => state.current.move(state.current.current + by),
        open: () => state.current.open(),
        select: () => state.current.select(),
        copy: () => state.current.copy(),
      }),
    [],
  );

  const tracks = { "--tracks": columns.map(({ width }) => width ?? "minmax(0, 1fr)").join(" ") };
  // A row that scrolling leaves in view is handed on as it was drawn, and Preact passes it over.
  // A page that draws its grid anew, which gives other props, draws every row anew.
  const former = useRef(new Map<number, Drawn<Row>>());
  const drawn = new Map<number, Drawn<Row>>();
  const line = (index: number) => {
    const look = {
      row: rowAt(index),
      props,
      isNarrow,
      isCurrent: index === current,
      isWindowed,
    };
    const known = former.current.get(index);
    const isSame = known !== undefined && isSameLook(known.look, look);
    const key = look.row && props.keyOf ? props.keyOf(look.row) : index;
    const element = isSame ? (
      known.element
    ) : (
      <Line
        key={key}
        row={look.row}
        index={index}
        columns={columns}
        isCurrent={look.isCurrent}
        rowPx={isWindowed ? rowPx : undefined}
        onEnter={enter}
      />
    );
    drawn.set(index, { look, element });
    return element;
  };
  const indexes = Array.from({ length: Math.max(0, last - first) }, (_, each) => first + each);
  const lines = indexes.map(line);
  former.current = drawn;
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
          onClickCapture={leave}
          style={isWindowed ? { height: `${total * rowPx}px` } : undefined}
        >
          {lines}
        </div>
      </div>
    </div>
  );
}

interface Look<Row> {
  row: Row | undefined;
  props: GridProps<Row>;
  isNarrow: boolean;
  isCurrent: boolean;
  isWindowed: boolean;
}

interface Drawn<Row> {
  look: Look<Row>;
  element: JSX.Element;
}

const isSameLook = <Row,>(one: Look<Row>, other: Look<Row>) =>
  one.row === other.row &&
  one.props === other.props &&
  one.isNarrow === other.isNarrow &&
  one.isCurrent === other.isCurrent &&
  one.isWindowed === other.isWindowed;

function Line<Row>(props: {
  row: Row | undefined;
  index: number;
  columns: readonly Column<Row>[];
  isCurrent: boolean;
  rowPx: number | undefined; // of a row that has its place in a window
  onEnter: (index: number) => void;
}) {
  const { row, index, rowPx } = props;
  const place = rowPx && { top: `${index * rowPx}px`, height: `${rowPx}px` };
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      data-row={index}
      class={props.isCurrent ? "row current" : "row"}
      style={place || undefined}
      onMouseEnter={() => props.onEnter(index)}
    >
      {props.columns.map(({ key, head, isNumber, cell }) =>
        row ? (
          <span key={key} role="cell" data-head={head} class={isNumber ? "number" : undefined}>
            {cell(row)}
          </span>
        ) : (
          <span key={key} role="cell" class="pending" />
        ),
      )}
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
