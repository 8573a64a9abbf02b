/** A grid whose columns somebody chooses. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { withFilters } from "./filters.ts";
import { type Column, Grid, type GridProps } from "./grid.tsx";
import { hiddenIn, readHidden, storeHidden } from "./hidden.ts";
import "./column_menu.css";

/** Like Grid; `list` names the list under which the browser remembers the choice. The address has it
    too, so that a link shows the same columns, whatever they are to somebody else. */
export function ChosenGrid<Row>(props: GridProps<Row> & { list: string }) {
  const { list, columns, ...others } = props;
  const [path, navigate] = useLocation();
  const search = useSearch();
  const [own, setOwn] = useState(() => readHidden(list));
  const asked = hiddenIn(search, list);
  const hidden = asked ?? own;
  const show = (names: readonly string[]) =>
    navigate(withFilters(path, search, { [`hide.${list}`]: names.join() }), { replace: true });
  useEffect(() => {
    if (!asked && own.length) show(own);
  }, []);
  const choose = (names: readonly string[]) => {
    setOwn(names);
    storeHidden(list, names);
    show(names);
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
