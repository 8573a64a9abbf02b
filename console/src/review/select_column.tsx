/** Boxes that choose rows: a click with Shift chooses the rows since the last click, too. */

import type { MutableRef } from "preact/hooks";
import type { Column } from "../lists/grid.tsx";
import type { PagedRows } from "../lists/pages.ts";
import type { Selection } from "./selection.ts";

export function selectColumn<Row>(
  selection: Selection<Row>,
  rows: PagedRows<Row>,
  wordsOf: (row: Row) => string,
  last: MutableRef<number | undefined>,
): Column<Row> {
  const click = (row: Row, event: MouseEvent) => {
    const box = event.currentTarget as HTMLInputElement;
    const index = Number(box.closest("[data-row]")?.getAttribute("data-row"));
    const from = event.shiftKey ? last.current : undefined;
    last.current = index;
    if (from === undefined || !box.checked) return selection.toggle(row);
    const [first, end] = [Math.min(from, index), Math.max(from, index)];
    const between = Array.from({ length: end - first + 1 }, (_, each) => rows.rowAt(first + each));
    selection.extend(between.filter((each) => each !== undefined));
  };
  return {
    key: "select",
    head: "Select",
    isFixed: true,
    width: "3rem",
    cell: (row) => (
      <input
        type="checkbox"
        aria-label={`Select ${wordsOf(row)}`}
        checked={selection.has(row)}
        onClick={(event) => click(row, event)}
      />
    ),
  };
}
