/** A rebalance beside another one of the same portfolios: what differs, in all and by portfolio. */

import { useLayoutEffect } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { read } from "../api.ts";
import { Chooser, readOthers, usual } from "../compare/others.tsx";
import { PairGrid } from "../compare/pair_grid.tsx";
import {
  differs,
  MAX_WHOLE,
  type Pair,
  type Rebalance,
  readAllPairs,
  readPairs,
} from "../compare/pairs.ts";
import { Plans } from "../compare/plans.tsx";
import { Totals } from "../compare/totals.tsx";
import { count } from "../format.ts";
import { onKey } from "../keys.ts";
import { type Filters, readFilters, withFilters } from "../lists/filters.ts";
import { Listed } from "../lists/listed.tsx";
import { usePages } from "../lists/pages.ts";
import { Empty, Id, Loaded, Page, Problem, Section } from "../parts.tsx";
import { type Resource, useResource } from "../resource.ts";

const PAGE_ROWS = 100; // because a request names so many portfolios

const readSummary = (rebalance_id: string, signal: AbortSignal): Promise<Rebalance> =>
  read("/api/v1/rebalance/{rebalance_id}/summary", { path: { rebalance_id }, signal });

export function ComparePage({ id }: { id: string }) {
  const path = `/rebalance/${id}/compare`;
  const search = useSearch();
  const [, navigate] = useLocation();
  const { portfolio = "", with: asked = "" } = readFilters(search, ["portfolio", "with"]);
  const change = (changes: Filters) =>
    navigate(withFilters(path, search, changes), { replace: true });
  const rebalance = useResource(`rebalance ${id}`, (signal) => readSummary(id, signal));
  const others = useResource(`others ${id} ${portfolio}`, (signal) =>
    readOthers(id, portfolio, signal),
  );
  const value = rebalance.value;
  const other = asked || (value && usual(others.value ?? [], value.rebalance_date)) || "";
  return (
    <Page
      title={value ? `Compare rebalances of ${value.model_name}` : "Compare rebalances"}
      meta={<Id value={id} />}
      actions={
        <Link class="button" href={`/rebalance/${id}`}>
          This rebalance
        </Link>
      }
    >
      <Loaded of={rebalance} lines={4}>
        {(here) => (
          <>
            {others.error && <Problem error={others.error} retry={others.reload} />}
            {others.value && (
              <Chooser
                others={others.value}
                chosen={other}
                onChoose={(chosen) => change({ with: chosen })}
              />
            )}
            {others.value && !other && (
              <Empty>
                No other rebalance has this portfolio. Type the id of another one to compare it.
              </Empty>
            )}
            {other === id && <Empty>That is this rebalance itself: choose another one.</Empty>}
            {other && other !== id && (
              <Both key={other} here={here} other={other} portfolio={portfolio} onChange={change} />
            )}
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Both(props: {
  here: Rebalance;
  other: string;
  portfolio: string;
  onChange: (changes: Filters) => void;
}) {
  const { here, other, portfolio } = props;
  const there = useResource(`rebalance ${other}`, (signal) => readSummary(other, signal));
  return (
    <Loaded of={there} lines={8}>
      {(found) => (
        <>
          {portfolio && (
            <Plans
              key={portfolio}
              here={here.rebalance_id}
              there={other}
              portfolioId={portfolio}
              onClose={() => props.onChange({ portfolio: "" })}
            />
          )}
          <Rebalances here={here} there={found} onChange={props.onChange} />
        </>
      )}
    </Loaded>
  );
}

function Rebalances(props: {
  here: Rebalance;
  there: Rebalance;
  onChange: (changes: Filters) => void;
}) {
  const { here, there } = props;
  const isWhole = Math.max(here.number_of_portfolios, there.number_of_portfolios) <= MAX_WHOLE;
  const pairs = useResource(`pairs ${here.rebalance_id} ${there.rebalance_id}`, async (signal) =>
    isWhole ? await readAllPairs(here, there, signal) : undefined,
  );
  return (
    <>
      <Totals here={here} there={there} />
      {isWhole ? <WholePairs {...props} pairs={pairs} /> : <PagedPairs here={here} there={there} />}
    </>
  );
}

const useHrefs = (id: string) => {
  const search = useSearch();
  return (portfolio: string) => withFilters(`/rebalance/${id}/compare`, search, { portfolio });
};

/** Every pair is known, so that those that differ can be told. */
function WholePairs(props: {
  here: Rebalance;
  there: Rebalance;
  pairs: Resource<Pair[] | undefined>;
  onChange: (changes: Filters) => void;
}) {
  const { here, there, pairs } = props;
  const { all } = readFilters(useSearch(), ["all"]);
  const hrefOf = useHrefs(here.rebalance_id);
  const turn = () => props.onChange({ all: all ? "" : "yes" });
  useLayoutEffect(() => onKey("d", turn));
  const differing = (pairs.value ?? []).filter(differs);
  const rows = all ? (pairs.value ?? []) : differing;
  const shown = {
    total: rows.length,
    rowAt: (index: number) => rows[index],
    onWindow: nothing,
    error: undefined,
    reload: pairs.reload,
  };
  return (
    <Section
      title="Portfolios"
      note={pairs.value && `${count(differing.length)} of ${count(pairs.value.length)} differ`}
      aside={
        <label class="inline">
          <input type="checkbox" checked={!all} onChange={turn} /> only those that differ
        </label>
      }
    >
      <Loaded of={pairs}>
        {() => (
          <Listed rows={shown} empty="No portfolio differs.">
            {() => (
              <PairGrid
                here={here.rebalance_id}
                there={there.rebalance_id}
                rows={shown}
                hrefOf={hrefOf}
              />
            )}
          </Listed>
        )}
      </Loaded>
    </Section>
  );
}

const nothing = () => {};

/** Too many to read at once: a page at a time as they come into view. */
function PagedPairs({ here, there }: { here: Rebalance; there: Rebalance }) {
  const [ours, theirs] = [here.rebalance_id, there.rebalance_id];
  const hrefOf = useHrefs(ours);
  const rows = usePages<Pair>(
    `pairs ${ours} ${theirs}`,
    (offset, limit, signal) => readPairs(ours, theirs, offset, limit, signal),
    PAGE_ROWS,
  );
  return (
    <Section title="Portfolios" note={`${count(rows.total)} of this rebalance`}>
      <Listed rows={rows} empty="No portfolio has an outcome.">
        {() => <PairGrid here={ours} there={theirs} rows={rows} hrefOf={hrefOf} />}
      </Listed>
    </Section>
  );
}
