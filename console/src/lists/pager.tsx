/** Pages of a list that is not scrolled through. */

import { count } from "../format.ts";

export function Pager(props: {
  place: number;
  rows: number;
  total: number;
  onTurn: (page: string) => void;
}) {
  const { place, rows, total, onTurn } = props;
  if (total <= rows) return null;
  return (
    <p class="actions pager">
      <button
        type="button"
        disabled={place === 1}
        onClick={() => onTurn(place > 2 ? String(place - 1) : "")}
      >
        Previous
      </button>
      <span>
        page {count(place)} of {count(Math.ceil(total / rows))}
      </span>
      <button
        type="button"
        disabled={place * rows >= total}
        onClick={() => onTurn(String(place + 1))}
      >
        Next
      </button>
    </p>
  );
}
