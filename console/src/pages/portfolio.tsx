/** One portfolio of a rebalance: the plan against its bands, its proof, or why there is none. */

import { useLayoutEffect } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { read } from "../api.ts";
import { CompareLink } from "../compare/link.tsx";
import { onKey } from "../keys.ts";
import { beside, moveTrail } from "../lists/trail.ts";
import { useEditKey } from "../models/edit_key.ts";
import { usePortfolioNames, useTickers } from "../names.ts";
import { BESIDE } from "../navigation.ts";
import { Id, Loaded, Page, Status, Time } from "../parts.tsx";
import { editorOf } from "../plan/explanation.tsx";
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
  useEditKey(value && editorOf(value));
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
      actions={
        <>
          <Beside href={`/rebalance/${id}/portfolio/${encodeURIComponent(portfolioId)}`} />
          <CompareLink rebalanceId={id} portfolioId={portfolioId} />
        </>
      }
    >
      <Loaded of={outcome} lines={12}>
        {(given) => <PlanParts plan={given} tickerOf={tickerOf} />}
      </Loaded>
    </Page>
  );
}

const STEPS = [
  { by: -1, key: "[", word: "Previous" },
  { by: 1, key: "]", word: "Next" },
] as const;

/** The way to the portfolios beside this one, in the list that it was opened from. */
function Beside({ href }: { href: string }) {
  const [, navigate] = useLocation();
  const go = (by: number) => {
    const target = beside(href, by);
    if (!target) return;
    moveTrail(href, by);
    navigate(target, { state: BESIDE });
  };
  useLayoutEffect(() => {
    const forget = STEPS.map(({ by, key }) => onKey(key, () => go(by)));
    return () => {
      for (const each of forget) each();
    };
  });
  const steps = STEPS.filter(({ by }) => beside(href, by) !== undefined);
  return (
    <>
      {steps.map(({ by, key, word }) => (
        <button key={key} type="button" title={key} onClick={() => go(by)}>
          {word}
        </button>
      ))}
    </>
  );
}
