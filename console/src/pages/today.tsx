/** What calls for somebody now: each tile counts what the page behind it lists. */

import { useEffect } from "preact/hooks";
import { Link } from "wouter-preact";
import { list, read } from "../api.ts";
import { count } from "../format.ts";
import { Grid } from "../lists/grid.tsx";
import { Empty, Loaded, Page, Section } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { mayAll } from "../session.ts";
import { planless, RUN_COLUMNS } from "./runs.tsx";

const RUNS = 5;
const LOOK_MS = 10_000;

/** A part of the page for those who may see all of it; nothing for others. */
const whenAllowed = <Value,>(scope: string, load: () => Promise<Value>) =>
  mayAll(scope) ? load() : Promise.resolve(undefined);

const countOrders = (status: string, signal: AbortSignal) =>
  whenAllowed("orders:read", () => list("/api/v1/orders", { query: { status, limit: 1 }, signal }));

async function readToday(signal: AbortSignal) {
  const [runs, models, unknown, failed, waiting, scans, health] = await Promise.all([
    whenAllowed("rebalances:read", () => list("/api/v1/runs", { query: { limit: RUNS }, signal })),
    whenAllowed("models:read", () => list("/api/v1/models", { query: { limit: 1 }, signal })),
    countOrders("UNKNOWN", signal),
    countOrders("FAILED", signal),
    whenAllowed("rebalances:read", () =>
      list("/api/v1/proposals", { query: { status: "PROPOSED", limit: 1 }, signal }),
    ),
    whenAllowed("portfolios:read", () =>
      list("/api/v1/drift-scans", { query: { status: "COMPLETED", limit: 1 }, signal }),
    ),
    read("/health", { signal }),
  ]);
  return {
    runs: runs?.rows,
    models: models?.total,
    unknown: unknown?.total,
    failed: failed?.total,
    waiting: waiting?.total,
    scan: scans?.rows[0],
    health,
  };
}

export function TodayPage() {
  const today = useResource("today", readToday);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) today.reload();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [today.reload]);
  return (
    <Page title="Today">
      <Loaded of={today} lines={8}>
        {({ runs, models, unknown, failed, waiting, scan, health }) => {
          const newest = runs?.[0];
          const parts = Object.values(health.checks ?? {});
          const well = parts.filter((state) => state === "healthy").length;
          return (
            <>
              <div class="tiles">
                {newest && (
                  <Tile
                    href={`/runs/${newest.run_id}`}
                    value={planless(newest)}
                    text="without a plan in the newest run"
                    isCall
                  />
                )}
                <Tile
                  href="/book?status=OUT_OF_BAND"
                  value={scan && (scan.counts["OUT_OF_BAND"] ?? 0)}
                  text="out of band when the book was measured"
                  isCall
                />
                <Tile
                  href="/review?status=PROPOSED"
                  value={waiting}
                  text="wait for approval"
                  isCall
                />
                <Tile href="/orders?status=UNKNOWN" value={unknown} text="orders in doubt" isCall />
                <Tile href="/orders?status=FAILED" value={failed} text="orders failed" isCall />
                <Tile
                  href="/system"
                  value={well}
                  text={`of ${count(parts.length)} parts healthy`}
                  isCall={well < parts.length}
                />
                <Tile href="/models" value={models} text="models" />
              </div>
              {runs && (
                <Section title="Newest runs" aside={<Link href="/runs">all runs</Link>}>
                  {runs.length ? (
                    <Grid
                      label="Newest runs"
                      columns={RUN_COLUMNS}
                      total={runs.length}
                      rowAt={(index) => runs[index]}
                      keyOf={(run) => run.run_id}
                      href={(run) => `/runs/${run.run_id}`}
                    />
                  ) : (
                    <Empty>No run yet. A model begins one from its page.</Empty>
                  )}
                </Section>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

/** `isCall`: any number above none calls for somebody. */
function Tile(props: { href: string; value: number | undefined; text: string; isCall?: boolean }) {
  if (props.value === undefined) return null;
  return (
    <Link href={props.href} class={props.isCall && props.value > 0 ? "tile calls" : "tile"}>
      <b>{count(props.value)}</b>
      <span>{props.text}</span>
    </Link>
  );
}
