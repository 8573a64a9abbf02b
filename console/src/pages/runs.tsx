/** Runs, the newest first; the list looks again while one of them goes on. */

import { useEffect } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { list, type Schema } from "../api.ts";
import { Stacked } from "../charts/stacked.tsx";
import { count, duration, rate, seconds } from "../format.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Pager } from "../lists/pager.tsx";
import { Empty, Id, Loaded, Page, Status, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";

export type Run = Schema<"RunAnswer">;
const OVER = new Set(["COMPLETED", "CANCELLED", "STOPPED"]);
const ROWS = 50;
const LOOK_MS = 5_000;

export const isOver = (run: Run): boolean => OVER.has(run.status);
export const elapsed = (run: Run): number =>
  seconds(run.started_at ?? run.created_at, run.finished_at ?? Date.now());
/** Portfolios that have no plan. */
export const planless = (run: Run): number =>
  (run.counts["INFEASIBLE"] ?? 0) + (run.counts["FAILED"] ?? 0);

export const RUN_COLUMNS: Column<Run>[] = [
  {
    key: "created",
    head: "Begun",
    width: "11.5rem",
    cell: (run) => (
      <Link href={`/runs/${run.run_id}`}>
        <Time value={run.created_at} />
      </Link>
    ),
  },
  { key: "run", head: "Run", width: "8.5rem", cell: (run) => <Id value={run.run_id} /> },
  { key: "status", head: "Status", width: "8rem", cell: (run) => <Status value={run.status} /> },
  {
    key: "outcomes",
    head: "Outcomes",
    width: "minmax(8rem, 1fr)",
    cell: (run) => <Stacked counts={run.counts} total={run.portfolios.total} isSmall />,
  },
  {
    key: "portfolios",
    head: "Portfolios",
    width: "8rem",
    isNumber: true,
    cell: (run) =>
      run.portfolios.done === run.portfolios.total
        ? count(run.portfolios.done)
        : `${count(run.portfolios.done)} of ${count(run.portfolios.total)}`,
  },
  {
    key: "planless",
    head: "Without a plan",
    width: "7.5rem",
    isNumber: true,
    cell: (run) => count(planless(run)),
  },
  {
    key: "seconds",
    head: "Time",
    width: "6rem",
    isNumber: true,
    cell: (run) => duration(elapsed(run)),
  },
  {
    key: "rate",
    head: "Per second",
    width: "6rem",
    isNumber: true,
    cell: (run) => rate(run.portfolios_per_second),
  },
];

export function RunsPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const { page = "1" } = readFilters(search, ["page"]);
  const place = Math.max(1, Number.parseInt(page, 10) || 1);
  const runs = useResource(`runs ${place}`, (signal) =>
    list("/api/v1/runs", { query: { offset: (place - 1) * ROWS, limit: ROWS }, signal }),
  );
  const goesOn = runs.value?.rows.some((run) => !isOver(run)) ?? false;
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(() => {
      if (!document.hidden) runs.reload();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [goesOn, runs.reload]);
  const turn = (to: string) => navigate(withFilters("/runs", search, { page: to }));
  return (
    <Page title="Runs" meta={<span class="muted">{count(runs.value?.total)} in all</span>}>
      <Loaded of={runs} lines={10}>
        {({ rows, total }) =>
          total === 0 ? (
            <Empty>
              No run yet. <code>ordergen run begin --whole-book</code> or POST /api/v1/runs begins
              one.
            </Empty>
          ) : (
            <>
              <Grid
                label="Runs"
                columns={RUN_COLUMNS}
                total={rows.length}
                rowAt={(index) => rows[index]}
                keyOf={(run) => run.run_id}
                href={(run) => `/runs/${run.run_id}`}
              />
              <Pager place={place} rows={ROWS} total={total} onTurn={turn} />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}
