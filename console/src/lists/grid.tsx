/** A table of any length: the rows in view are in the document, cards on a narrow screen. */

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { count } from "../format.ts";
import { keyList } from "../keys.ts";
import { nextSort } from "./filters.ts";
import { type Heads, headAt, placesOf, type Segment } from "./groups.ts";
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
  total: number; // lines, with the heads of groups
  heads?: Heads | undefined;
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
const NO_SEGMENTS: readonly Segment[] = [];
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

  const { heads } = props;
  const segments = heads?.segments ?? NO_SEGMENTS;
  const { topOf, lineAt } = useMemo(() => placesOf(segments, ROW_PX, rowPx), [segments, rowPx]);

  const measure = () => {
    const box = region.current;
    if (!box || !isWindowed) return;
    const top = lineAt(box.scrollTop);
    const bottom = lineAt(box.scrollTop + box.clientHeight) + 1;
    setSeen((former) =>
      former.first === top && former.last === bottom ? former : { first: top, last: bottom },
    );
  };
  useLayoutEffect(measure, [total, lineAt, isWindowed]);
  useEffect(() => props.onWindow?.(first, last), [first, last, props.onWindow]);

  const move = (to: number) => {
    const next = Math.max(0, Math.min(total - 1, to));
    setOwn(next);
    props.onCurrent?.(next);
    const box = region.current;
    if (!box) return;
    if (isWindowed) {
      const top = topOf(next);
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
    const head = headAt(heads, current);
    if (head) heads?.toggle(head.value);
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
  const drawLine = (index: number) => {
    const row = rowAt(index);
    const head = headAt(heads, index);
    const place = {
      index,
      isCurrent: index === current,
      top: isWindowed ? topOf(index) : undefined,
      height: head ? ROW_PX : rowPx,
      onEnter: enter,
    };
    return head ? (
      <GroupHead
        key={`group ${head.value}`}
        {...place}
        head={head}
        width={columns.length}
        onToggle={heads?.toggle}
      />
    ) : (
      <Line
        key={row && props.keyOf ? props.keyOf(row) : index}
        {...place}
        row={row}
        columns={columns}
      />
    );
  };
  const lines = Array.from({ length: Math.max(0, last - first) }, (_, each) =>
    drawLine(first + each),
  );
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
          style={isWindowed ? { height: `${topOf(total)}px` } : undefined}
        >
          {lines}
        </div>
      </div>
    </div>
  );
}

interface Place {
  index: number;
  isCurrent: boolean;
  top: number | undefined; // in px, of a line that has its place in a window
  height: number;
  onEnter: (index: number) => void;
}

const rowOf = ({ index, isCurrent, top, height, onEnter }: Place, look = "row") =>
  ({
    role: "row",
    "aria-rowindex": index + 2,
    "data-row": index,
    class: isCurrent ? `${look} current` : look,
    style: top === undefined ? undefined : { top: `${top}px`, height: `${height}px` },
    onMouseEnter: () => onEnter(index),
  }) as const;

function Line<Row>(props: Place & { row: Row | undefined; columns: readonly Column<Row>[] }) {
  const { row } = props;
  return (
    <div {...rowOf(props)}>
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

/** The line above the rows of a group, which opens and closes it. */
function GroupHead(
  props: Place & { head: Segment; width: number; onToggle: Heads["toggle"] | undefined },
) {
  const { value, words, total, isOpen } = props.head;
  return (
    <div {...rowOf(props, "row group")}>
      <span role="cell" aria-colspan={props.width}>
        <button type="button" aria-expanded={isOpen} onClick={() => props.onToggle?.(value)}>
          {isOpen ? "▾" : "▸"} {words} <b>{count(total)}</b>
        </button>
      </span>
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
