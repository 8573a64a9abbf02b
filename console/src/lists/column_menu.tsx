/** A grid whose columns somebody chooses and arranges. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { arrange, moved } from "./choices.ts";
import { type Column, Grid, type GridProps } from "./grid.tsx";
import type { Grouping } from "./groups.ts";
import type { PagedRows } from "./pages.ts";
import { useChoice } from "./use_choice.ts";
import "./column_menu.css";

/** Like Grid; `list` names the list under which the browser remembers the choices. */
export function ChosenGrid<Row>(
  props: Omit<GridProps<Row>, "total" | "heads" | "rowAt"> & {
    list: string;
    rows: PagedRows<Row>;
  },
) {
  const { list, columns, rows, ...others } = props;
  const [hidden, hide] = useChoice("hide", list);
  const [order, reorder] = useChoice("order", list);
  const usual = columns.filter(({ isFixed }) => !isFixed);
  const arranged = arrange(usual, order);
  const away = arranged.map(keyOf).filter((key) => hidden.includes(key));
  const shown = [
    ...columns.filter(({ isFixed }) => isFixed),
    ...arranged.filter(({ key }) => !hidden.includes(key)),
  ];
  const move = (key: string, by: number) =>
    reorder(moved(usual.map(keyOf), arranged.map(keyOf), key, by));
  return (
    <div class="stack chosen-grid">
      <ColumnMenu
        label={props.label}
        columns={arranged}
        hidden={away}
        onHide={hide}
        onMove={move}
        grouping={rows.grouping}
        onUsual={order.length ? () => reorder([]) : undefined}
      />
      <Grid
        {...others}
        columns={shown}
        total={rows.lines ?? rows.total ?? 0}
        heads={rows.heads}
        rowAt={rows.rowAt}
      />
    </div>
  );
}

const keyOf = ({ key }: { key: string }) => key;

interface MenuProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  hidden: readonly string[];
  onHide: (hidden: readonly string[]) => void;
  onMove: (key: string, by: number) => void;
  grouping: Grouping | undefined;
  onUsual: (() => void) | undefined; // nothing where the order is the usual one
}

function ColumnMenu<Row>(props: MenuProps<Row>) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (!isOpen) return;
    const hear = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", hear);
    return () => document.removeEventListener("pointerdown", hear);
  }, [isOpen]);
  const number = props.hidden.length;
  const close = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !isOpen) return;
    event.preventDefault(); // otherwise the page goes back, too
    setOpen(false);
    button.current?.focus();
  };
  const leave = (event: FocusEvent) => {
    if (event.relatedTarget && !box.current?.contains(event.relatedTarget as Node)) setOpen(false);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape and the focus of what is inside
    <div ref={box} class="menu" onKeyDown={close} onFocusOut={leave}>
      <button
        ref={button}
        type="button"
        aria-expanded={isOpen}
        aria-label={`Columns of ${props.label}`}
        onClick={() => setOpen(!isOpen)}
      >
        Columns{number > 0 && `, ${number} hidden`}
        {props.grouping?.chosen && `, by ${props.grouping.chosen.words}`}
      </button>
      {isOpen && <Choices {...props} />}
    </div>
  );
}

const MOVES = [
  { by: -1, word: "left", sign: "←" },
  { by: 1, word: "right", sign: "→" },
] as const;

function Choices<Row>(props: MenuProps<Row>) {
  const { columns, hidden, grouping, onHide, onMove, onUsual } = props;
  const turn = (key: string) =>
    onHide(hidden.includes(key) ? hidden.filter((each) => each !== key) : [...hidden, key]);
  const box = useRef<HTMLFieldSetElement>(null);
  const move = (key: string, place: number, by: number) => {
    // The lines stand where they are, and change what they show: the focus goes with the column.
    box.current?.querySelectorAll<HTMLElement>(`[value="${by}"]`)[place + by]?.focus();
    onMove(key, by);
  };
  return (
    <fieldset ref={box}>
      <legend>Columns shown</legend>
      {columns.map(({ key, head }, place) => (
        <div class="choice">
          <label>
            <input type="checkbox" checked={!hidden.includes(key)} onChange={() => turn(key)} />{" "}
            {head}
          </label>
          {MOVES.map(({ by, word, sign }) => (
            <button
              key={word}
              type="button"
              value={by}
              aria-label={`Move ${head} ${word}`}
              onClick={() => move(key, place, by)}
            >
              {sign}
            </button>
          ))}
        </div>
      ))}
      <button type="button" disabled={!hidden.length} onClick={() => onHide([])}>
        Show all
      </button>
      <button type="button" disabled={!onUsual} onClick={onUsual}>
        Usual order
      </button>
      {grouping?.choices.map(({ filter, words }) => {
        const isChosen = grouping.chosen?.filter === filter;
        return (
          <button
            key={filter}
            type="button"
            aria-pressed={isChosen}
            onClick={() => grouping.choose(isChosen ? [] : [filter])}
          >
            {isChosen && "✓ "}Group by {words}
          </button>
        );
      })}
    </fieldset>
  );
}
