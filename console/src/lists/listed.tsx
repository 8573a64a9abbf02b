/** A paged list with what stands in its place, and the field that looks for portfolios in one. */

import type { ComponentChildren } from "preact";
import { Empty, Problem, Skeleton } from "../parts.tsx";
import type { Filters } from "./filters.ts";
import type { PagedRows } from "./pages.ts";

/** The list once it has rows; before that its outline, its error, or that nothing matches. */
export function Listed<Row>(props: {
  rows: PagedRows<Row>;
  empty: string;
  lines?: number;
  children: (total: number) => ComponentChildren;
}) {
  const { total, error, reload } = props.rows;
  return (
    <>
      {error && <Problem error={error} retry={reload} />}
      {total === undefined && !error && <Skeleton lines={props.lines ?? 8} />}
      {total === 0 && <Empty>{props.empty}</Empty>}
      {total !== undefined && total > 0 && props.children(total)}
    </>
  );
}

export function PortfolioIdField(props: {
  filters: Filters;
  onChange: (changes: Filters) => void;
}) {
  return (
    <label class="inline">
      Portfolio id
      <input
        size={26}
        value={props.filters["portfolio_id"] ?? ""}
        onChange={(event) => props.onChange({ portfolio_id: event.currentTarget.value.trim() })}
      />
    </label>
  );
}
