/** A paged list with what stands in its place, and the field that looks for portfolios in one. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
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
    <TextFilter
      label="Portfolio id"
      size={26}
      value={props.filters["portfolio_id"] ?? ""}
      onChange={(portfolio_id) => props.onChange({ portfolio_id })}
    />
  );
}

/** A filter that is typed. What is typed stays while rows arrive, because they draw the field anew. */
export function TextFilter(props: {
  label: string;
  size: number;
  value: string;
  onChange: (text: string) => void;
}) {
  const [typed, setTyped] = useState<string>();
  return (
    <label class="inline">
      {props.label}
      <input
        size={props.size}
        value={typed ?? props.value}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onChange={(event) => {
          setTyped(undefined);
          props.onChange(event.currentTarget.value.trim());
        }}
      />
    </label>
  );
}
