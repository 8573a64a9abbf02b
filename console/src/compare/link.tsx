/** The way from a plan to the comparison with another one, by click and by key. */

import { useLayoutEffect } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { onKey } from "../keys.ts";
import { withFilters } from "../lists/filters.ts";

export function CompareLink(props: { rebalanceId: string; portfolioId?: string }) {
  const [, navigate] = useLocation();
  const path = `/rebalance/${props.rebalanceId}/compare`;
  const href = withFilters(path, "", { portfolio: props.portfolioId ?? "" });
  useLayoutEffect(() => onKey("c", () => navigate(href)));
  return (
    <Link class="button" href={href} title="c">
      Compare
    </Link>
  );
}
