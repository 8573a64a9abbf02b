/** One run: how far it is, what came of it, and what it could not do. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { address, newKey, read, type Schema, write } from "../api.ts";
import { SPARK_POINTS, Spark } from "../charts/spark.tsx";
import { Bar, Stacked } from "../charts/stacked.tsx";
import { useQuestion } from "../confirm.tsx";
import { count, duration, NONE, rate } from "../format.ts";
import { follow, type Mode, type Stream } from "../live.ts";
import {
  type Fact,
  Facts,
  Id,
  Loaded,
  Page,
  Problem,
  ScopedButton,
  Section,
  Status,
  Time,
} from "../parts.tsx";
import { useResource } from "../resource.ts";
import { CausesSection } from "./causes.tsx";
import { hasPlanless, slugOf } from "./rebalance.tsx";
import { RebalanceGrid } from "./rebalances.tsx";
import { elapsed, isOver, type Run } from "./runs.tsx";

const MODES: Record<Mode, string> = {
  live: "live",
  reconnecting: "reconnecting",
  polling: "polling every 2 s",
  paused: "paused while the tab is hidden",
  over: "over",
};
const CANCELLABLE = new Set(["QUEUED", "RUNNING"]);

const readRun = (id: string) => read("/api/v1/runs/{run_id}", { path: { run_id: id } });

function openStream(id: string, lastEventId: string): Stream {
  const query = { last_event_id: lastEventId || undefined };
  const path = address("/api/v1/runs/{run_id}/events", { path: { run_id: id }, query });
  const source = new EventSource(path);
  return {
    get readyState() {
      return source.readyState;
    },
    addEventListener: (kind, listener) => source.addEventListener(kind, listener),
    set onerror(listener: (() => void) | null) {
      source.onerror = listener;
    },
    close: () => source.close(),
  };
}

function onVisibility(listener: () => void): () => void {
  document.addEventListener("visibilitychange", listener);
  return () => document.removeEventListener("visibilitychange", listener);
}

function wait(then: () => void, ms: number): () => void {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
}

/** The state of a run, followed until it is over. */
function useRun(id: string) {
  const run = useResource(`run ${id}`, () => readRun(id));
  const [mode, setMode] = useState<Mode>("over");
  const goesOn = run.value !== undefined && !isOver(run.value);
  useEffect(() => {
    if (!goesOn) return;
    const browser = {
      open: (lastEventId: string) => openStream(id, lastEventId),
      read: () => readRun(id),
      isOver,
      isHidden: () => document.hidden,
      wait,
      onVisibility,
    };
    return follow<Run>(browser, run.set, setMode);
  }, [goesOn, id, run.set]);
  return { run, mode: goesOn ? mode : "over" } as const;
}

/** Portfolios per second between the states that arrived. */
function useRates(run: Run | undefined): number[] {
  const rates = useRef<number[]>([]);
  const last = useRef<{ done: number; at: number }>();
  const done = run?.portfolios.done;
  useEffect(() => {
    if (done === undefined) return;
    const at = performance.now();
    const former = last.current;
    if (former && done > former.done) {
      rates.current.push(((done - former.done) / (at - former.at)) * 1000);
      rates.current = rates.current.slice(-SPARK_POINTS);
    }
    if (!former || done > former.done) last.current = { done, at };
  }, [done]);
  return rates.current;
}

export function RunPage({ id }: { id: string }) {
  const { run, mode } = useRun(id);
  const rates = useRates(run.value);
  const [dialog, setQuestion] = useQuestion();
  const cancel = (given: Run) =>
    setQuestion({
      title: "Cancel this run?",
      text: `${count((given.portfolios.total ?? 0) - given.portfolios.done)} portfolios would get no outcome. Outcomes that are stored stay.`,
      verb: "Cancel the run",
      act: async () => run.set(await write<Run>("DELETE", `/api/v1/runs/${id}`)),
    });
  const value = run.value;
  return (
    <Page
      title={`Run ${id}`}
      name="Run"
      meta={
        <>
          <Id value={id} />
          {value && <Status value={value.status} />}
          {value && !isOver(value) && <span class={`mode ${mode}`}>{MODES[mode]}</span>}
        </>
      }
      actions={
        value &&
        CANCELLABLE.has(value.status) && (
          <ScopedButton scope="runs:cancel" class="danger" onClick={() => cancel(value)}>
            Cancel run
          </ScopedButton>
        )
      }
    >
      <Loaded of={run} lines={8}>
        {(given) => <RunState run={given} rates={rates} />}
      </Loaded>
      {dialog}
    </Page>
  );
}

function RunState({ run, rates }: { run: Run; rates: readonly number[] }) {
  return (
    <>
      <Stacked counts={run.counts} total={run.portfolios.total} />
      <Progress run={run} />
      <Facts facts={facts(run, rates)} />
      {Object.keys(run.methods).length > 0 && (
        <Section title="Plans" note="by the method that found them, and by what is proven of them">
          <Bar label="Methods" parts={Object.entries(run.methods)} />
          <Bar label="Proofs" parts={Object.entries(run.proofs)} />
        </Section>
      )}
      {run.error && (
        <Problem
          error={Object.assign(new Error(), { status: 0, problem: run.error, retryAfterS: null })}
        />
      )}
      <Rebalances run={run} />
      {hasPlanless(run.counts) && isOver(run) && <RunCauses id={run.run_id} />}
      {run.errors.length > 0 && (
        <Section title="Chunks that failed" note={count(run.errors.length)}>
          <ul class="lines">
            {run.errors.map((error) => (
              <li key={`${error.rebalance_id} ${error.first}`}>
                {count(error.portfolios)} portfolios from place {count(error.first)} of{" "}
                <Id value={error.rebalance_id} />: {error.detail}
              </li>
            ))}
          </ul>
        </Section>
      )}
      {run.unmatched.length > 0 && (
        <Section title="Named in options, found nowhere" note={count(run.unmatched.length)}>
          <p class="lines">{run.unmatched.join(", ")}</p>
        </Section>
      )}
    </>
  );
}

const SHOWN = 20;

/** The rebalances of a run, one for each model; read again when a chunk more is done. */
function Rebalances({ run }: { run: Run }) {
  const ids = run.rebalances.slice(0, SHOWN);
  const key = `${ids.join()} ${isOver(run)}`;
  const rebalances = useResource(key, (signal) =>
    Promise.all(
      ids.map((id) =>
        read("/api/v1/rebalance/{rebalance_id}/summary", { path: { rebalance_id: id }, signal }),
      ),
    ),
  );
  if (!ids.length) return null;
  const all = run.number_of_rebalances ?? ids.length;
  const note = all > ids.length ? `the first ${ids.length} of ${count(all)}` : count(all);
  return (
    <Section title="Rebalances" note={note}>
      <Loaded of={rebalances} lines={ids.length}>
        {(rows) => <RebalanceGrid rows={rows} label="Rebalances" />}
      </Loaded>
    </Section>
  );
}

function RunCauses({ id }: { id: string }) {
  const [dialog, setQuestion] = useQuestion();
  const [, navigate] = useLocation();
  const retry = ({ type, title, portfolios }: Schema<"CauseAnswer">) => {
    const key = newKey();
    setQuestion({
      title: "Retry these portfolios?",
      text: `A new run plans the portfolios that this run left with "${title}" (${count(portfolios)} or more), with the same options. No order is sent.`,
      verb: "Begin the run",
      act: async () => {
        const body = { retry_of: id, codes: [slugOf(type)] };
        const headers = { "Idempotency-Key": key };
        const run = await write<Run>("POST", "/api/v1/runs", { body, headers });
        navigate(`/runs/${run.run_id}`);
      },
    });
  };
  const causes = useResource(`causes of run ${id}`, (signal) =>
    read("/api/v1/runs/{run_id}/causes", { path: { run_id: id }, signal }),
  );
  return (
    <>
      <CausesSection causes={causes} onRetry={retry} />
      {dialog}
    </>
  );
}

/** What is going on, in words; told to screen readers at most every five seconds. */
function Progress({ run }: { run: Run }) {
  const [, tick] = useState(0);
  const goesOn = !isOver(run);
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(() => tick((former) => former + 1), 1000);
    return () => clearInterval(timer);
  }, [goesOn]);
  const spoken = useRef({ text: "", at: 0 });
  const text = describe(run);
  if (Date.now() - spoken.current.at > 5000 || !goesOn) spoken.current = { text, at: Date.now() };
  return (
    <>
      <p class="progress">
        {text}, begun <Time value={run.created_at} />
      </p>
      <p class="unseen" role="status" aria-live="polite">
        {spoken.current.text}
      </p>
    </>
  );
}

function describe(run: Run): string {
  const time = duration(Math.round(elapsed(run)));
  if (run.status === "QUEUED") return `waiting for its turn, ${time}`;
  if (isOver(run)) return `over after ${duration(elapsed(run))}`;
  if (run.portfolios.done === 0) return `starting workers, ${time}`;
  const left = run.remaining_seconds;
  return left === null ? `${time} so far` : `${time} so far, about ${duration(left)} left`;
}

function facts(run: Run, rates: readonly number[]): Fact[] {
  const { portfolios, chunks } = run;
  const stages = Object.entries(run.seconds).map(([stage, time]) => `${stage} ${time.toFixed(1)}`);
  return [
    { term: "portfolios", value: count(portfolios.done), note: `of ${count(portfolios.total)}` },
    { term: "chunks", value: count(chunks.done), note: `of ${count(chunks.total)}` },
    {
      term: "per second",
      value: rate(run.portfolios_per_second),
      note: <Spark values={rates} label="portfolios per second, the last changes" />,
    },
    { term: "worker seconds", value: stages.join(" · ") || NONE },
    { term: "asked for", value: selectionWords(run) },
    ...(run.retry_of
      ? [{ term: "retries", value: <Link href={`/runs/${run.retry_of}`}>an earlier run</Link> }]
      : []),
    ...(run.begun_by ? [{ term: "begun by", value: run.begun_by }] : []),
    ...(Object.keys(run.options).length
      ? [{ term: "options", value: JSON.stringify(run.options).slice(1, -1) }]
      : []),
    { term: "holdings", value: run.holdings.file ?? run.holdings.source },
  ];
}

function selectionWords({ selection }: Run): string {
  if (selection.whole_book) return "the whole book";
  const models = selection.number_of_models;
  const portfolios = selection.number_of_portfolios ?? 0;
  const parts = [];
  if (portfolios > 0) parts.push(`${count(portfolios)} portfolios`);
  if (models > 0)
    parts.push(`followers of ${models === 1 ? "a model" : `${count(models)} models`}`);
  return parts.join(", ") || "portfolios without a plan";
}
