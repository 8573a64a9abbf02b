/** The whole book: who is how far from their model, as it was last measured, and a run for some. */

import { useLocation, useSearch } from "wouter-preact";
import { list, newKey, ServiceError, write } from "../api.ts";
import { Choose, FilterFields, STATES, Tiles } from "../book/fields.tsx";
import { BookGrid, type Line } from "../book/lines.tsx";
import { PortfolioNow } from "../book/now.tsx";
import { DriftPicture } from "../book/picture.tsx";
import { type Scan, useScans } from "../book/scans.ts";
import { type Selection, useSelection } from "../book/selection.ts";
import { useQuestion } from "../confirm.tsx";
import { count } from "../format.ts";
import { type Filters, readFilters, withFilters } from "../lists/filters.ts";
import { groupsOf, useGroupedPages } from "../lists/grouping.ts";
import { Listed } from "../lists/listed.tsx";
import { Empty, Page, Problem, ScopedButton, Section, Skeleton, Status, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";
import type { Run } from "./runs.tsx";

const FILTERS = ["status", "model_id", "portfolio_id", "min_drift", "max_drift"] as const;
const MOST_DRIFT_FIRST = "-total_drift_weight";
const ID_PAGE = 1000;
const MODELS = 200; // whose names are looked up

export function BookPage() {
  const { scans, goesOn, measure, refusal } = useScans();
  const selection = useSelection();
  const [dialog, setQuestion] = useQuestion();
  const [, navigate] = useLocation();
  const { newest, completed } = scans.value ?? {};
  const rebalance = (ids: string[]) => {
    const key = newKey();
    setQuestion({
      title: `Rebalance ${count(ids.length)} portfolios?`,
      text: `A run plans the trades of ${count(ids.length)} portfolios, each to the newest model that it follows. No order is sent.`,
      verb: "Begin the run",
      act: async () => {
        const body = { portfolios: ids };
        const headers = { "Idempotency-Key": key };
        const run = await write<Run>("POST", "/api/v1/runs", { body, headers });
        navigate(`/runs/${run.run_id}`);
      },
    });
  };
  return (
    <Page
      title="Book"
      meta={
        completed && (
          <span class="muted">
            {count(completed.portfolios.total)} portfolios, measured{" "}
            <Time value={completed.created_at} />
          </span>
        )
      }
      actions={
        <>
          <ScopedButton
            scope="portfolios:read"
            disabled={goesOn}
            title="ask for the holdings of every portfolio"
            onClick={() => void measure()}
          >
            Measure the book
          </ScopedButton>
          <ScopedButton
            scope="rebalances:start"
            class="main"
            disabled={selection.chosen.size === 0}
            onClick={() => rebalance([...selection.chosen])}
          >
            Rebalance {count(selection.chosen.size)} selected
          </ScopedButton>
        </>
      }
    >
      {refusal && <Problem error={refusal} />}
      {scans.error && <Problem error={scans.error} retry={scans.reload} />}
      {!scans.value && !scans.error && <Skeleton lines={12} />}
      {newest && newest.status !== "COMPLETED" && <Newest scan={newest} />}
      {completed ? (
        <Book key={completed.scan_id} scan={completed} selection={selection} />
      ) : (
        scans.value && !goesOn && <Empty>The book was not measured yet.</Empty>
      )}
      {dialog}
    </Page>
  );
}

/** A scan that goes on, or the reason why it stopped. */
function Newest({ scan }: { scan: Scan }) {
  if (scan.error) {
    const problem = scan.error;
    return (
      <>
        <p>
          <Status value={scan.status} /> <Time value={scan.created_at} />
        </p>
        <Problem error={new ServiceError(0, problem, null)} />
      </>
    );
  }
  const { done, total } = scan.portfolios;
  return (
    <p class="progress" role="status">
      <Status value={scan.status} /> measured {count(done)} of {count(total)}{" "}
      <progress aria-label="measured" value={done} max={Math.max(1, total ?? 1)} />
    </p>
  );
}

function Book({ scan, selection }: { scan: Scan; selection: Selection }) {
  const search = useSearch();
  const [, navigate] = useLocation();
  const filters = readFilters(search, FILTERS);
  const { sort_by = "", portfolio = "" } = readFilters(search, ["sort_by", "portfolio"]);
  const models = useResource("models of the book", (signal) =>
    list("/api/v1/models", { query: { limit: MODELS, sort_by: "name" }, signal }),
  );
  const names = new Map(models.value?.rows.map((model) => [model.model_id, model.name]));
  const query = { ...filters, sort_by: sort_by || MOST_DRIFT_FIRST };
  const fetchPage = (part: { offset: number; limit: number }, signal?: AbortSignal) =>
    list("/api/v1/drift-scans/{scan_id}/portfolios", {
      path: { scan_id: scan.scan_id },
      query: { ...query, ...part },
      ...(signal ? { signal } : {}),
    });
  const { status, model_id } = filters;
  const admitted = [...names].filter(([id]) => !model_id || id === model_id);
  const rows = useGroupedPages<Line>(
    "book",
    `${scan.scan_id} ${JSON.stringify(query)}`,
    [
      { filter: "status", words: "Status", groups: groupsOf(status ? [status] : STATES) },
      {
        filter: "model_id",
        words: "Model",
        groups: admitted.map(([value, words]) => ({ value, words })),
      },
    ],
    fetchPage,
  );
  const change = (changes: Filters) =>
    navigate(withFilters("/book", search, changes), { replace: true });
  const addAll = async (total: number) => {
    const all: string[] = [];
    for (let offset = 0; offset < total; offset += ID_PAGE) {
      const page = await fetchPage({ offset, limit: ID_PAGE });
      all.push(...page.rows.map((row) => row.portfolio_id));
    }
    selection.add(all);
  };
  return (
    <>
      <Tiles scan={scan} status={filters["status"] ?? ""} />
      <DriftPicture scan={scan} filters={filters} onBrush={change} />
      <Section
        title="Portfolios"
        note={count(rows.total)}
        aside={
          <>
            <FilterFields filters={filters} names={names} onChange={change} />
            <Choose selection={selection} total={rows.total} onAll={addAll} />
          </>
        }
      >
        <Listed rows={rows} empty="No portfolio matches.">
          {() => (
            <BookGrid
              rows={rows}
              sort={query.sort_by}
              onSort={(sort) => change({ sort_by: sort })}
              selection={selection}
              modelName={(id) => names.get(id)}
              hrefOf={(id) => withFilters("/book", search, { portfolio: id })}
            />
          )}
        </Listed>
      </Section>
      {portfolio && (
        <PortfolioNow key={portfolio} id={portfolio} onClose={() => change({ portfolio: "" })} />
      )}
    </>
  );
}
