/** One portfolio of a rebalance: the plan against its bands, its proof, or why there is none. */

import { Link } from "wouter-preact";
import { read } from "../api.ts";
import { CompareLink } from "../compare/link.tsx";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Id, Loaded, Page, Status, Time } from "../parts.tsx";
import { PlanParts } from "../plan/plan.tsx";
import { useResource } from "../resource.ts";

export function PortfolioPage({ id, portfolioId }: { id: string; portfolioId: string }) {
  const outcome = useResource(`outcome ${id} ${portfolioId}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/portfolio/{portfolio_id}", {
      path: { rebalance_id: id, portfolio_id: portfolioId },
      signal,
    }),
  );
  const tickerOf = useTickers((outcome.value?.positions ?? []).map((each) => each.security_id));
  const name = usePortfolioNames([portfolioId])(portfolioId);
  const value = outcome.value;
  return (
    <Page
      title={name ?? `Portfolio ${portfolioId}`}
      name={name ?? "Portfolio"}
      meta={
        <>
          <Id value={portfolioId} />
          {value && <Status value={value.status} />}
          {value && (
            <span class="muted">
              <Link href={`/rebalance/${id}`}>{value.model_name}</Link> version{" "}
              {value.model_version}, <Time value={value.rebalance_date} />
            </span>
          )}
        </>
      }
      actions={<CompareLink rebalanceId={id} portfolioId={portfolioId} />}
    >
      <Loaded of={outcome} lines={12}>
        {(given) => <PlanParts plan={given} tickerOf={tickerOf} />}
      </Loaded>
    </Page>
  );
}
