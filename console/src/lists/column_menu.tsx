/** A grid whose columns somebody chooses. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Column, Grid, type GridProps } from "./grid.tsx";
import { readHidden, storeHidden } from "./hidden.ts";
import "./column_menu.css";

/** Like Grid; `list` names the list under which the browser remembers the choice. */
export function ChosenGrid<Row>(props: GridProps<Row> & { list: string }) {
  const { list, columns, ...others } = props;
  const [hidden, setHidden] = useState(() => readHidden(list));
  const choose = (names: readonly string[]) => {
    setHidden(names);
    storeHidden(list, names);
  };
  const shown = columns.filter(({ key, isFixed }) => isFixed || !hidden.includes(key));
  return (
    <div class="stack chosen-grid">
      <ColumnMenu
        label={props.label}
        columns={columns.filter(({ isFixed }) => !isFixed)}
        hidden={hidden}
        onChoose={choose}
      />
      <Grid {...others} columns={shown} />
    </div>
  );
}

function ColumnMenu<Row>(props: {
  label: string;
  columns: readonly Column<Row>[];
  hidden: readonly string[];
  onChoose: (hidden: readonly string[]) => void;
}) {
  const { label, columns, hidden, onChoose } = props;
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
  const names = columns.map(({ key }) => key).filter((key) => hidden.includes(key));
  const turn = (key: string) =>
    onChoose(names.includes(key) ? names.filter((each) => each !== key) : [...names, key]);
  const close = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !isOpen) return;
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
        aria-label={`Columns of ${label}`}
        onClick={() => setOpen(!isOpen)}
      >
        Columns{names.length > 0 && `, ${names.length} hidden`}
      </button>
      {isOpen && (
        <fieldset>
          <legend>Columns shown</legend>
          {columns.map(({ key, head }) => (
            <label key={key}>
              <input type="checkbox" checked={!names.includes(key)} onChange={() => turn(key)} />{" "}
              {head}
            </label>
          ))}
          <button type="button" disabled={!names.length} onClick={() => onChoose([])}>
            Show all
          </button>
        </fieldset>
      )}
    </div>
  );
}
