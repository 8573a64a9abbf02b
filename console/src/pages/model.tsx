/** One model: its targets to edit, the drift of its followers, and every version. */

import { Link, useLocation, useSearch } from "wouter-preact";
import { list, newKey, read, readDocument, type Schema, write } from "../api.ts";
import { useQuestion } from "../confirm.tsx";
import { isDecimal, subtract } from "../exact.ts";
import { count, money, percent, points } from "../format.ts";
import { portfolioColumn } from "../lists/columns.tsx";
import { readFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Listed } from "../lists/listed.tsx";
import { usePages } from "../lists/pages.ts";
import { useEditKey } from "../models/edit_key.ts";
import { Editor, type Model } from "../models/editor.tsx";
import { type Rules, rulesOf } from "../models/rules.ts";
import { Versions } from "../models/versions.tsx";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Id, Loaded, Page, ScopedButton, Section, Status, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";
import type { Run } from "./runs.tsx";

const TABS = { targets: "Targets", followers: "Followers", history: "History" } as const;

const readModel = (id: string) => read("/api/v1/model/{model_id}", { path: { model_id: id } });

async function readRules(): Promise<Rules> {
  return rulesOf(await readDocument("/openapi.json"));
}

export function ModelPage({ id }: { id: string }) {
  const search = useSearch();
  const [, navigate] = useLocation();
  const model = useResource(`model ${id}`, () => readModel(id));
  const rules = useResource("rules", readRules);
  const [dialog, setQuestion] = useQuestion();
  const tab = readFilters(search, ["tab"])["tab"] ?? "targets";
  const value = model.value;
  useEditKey(tab === "targets" ? undefined : `/model/${id}`); // otherwise the editor has the key
  const rebalance = (given: Model) => {
    const key = newKey();
    setQuestion({
      title: `Rebalance ${given.name}?`,
      text: `A run plans the trades of ${count(given.portfolios.length)} portfolios. No order is sent.`,
      verb: "Begin the run",
      act: async () => {
        const body = { models: [id] };
        const headers = { "Idempotency-Key": key };
        const run = await write<Run>("POST", "/api/v1/runs", { body, headers });
        navigate(`/runs/${run.run_id}`);
      },
    });
  };
  return (
    <Page
      title={value?.name ?? "Model"}
      meta={
        <>
          <Id value={id} />
          {value && (
            <span class="muted">
              version {value.version}, {count(value.portfolios.length)} followers, last rebalance{" "}
              <Time value={value.last_rebalance_date} />
            </span>
          )}
        </>
      }
      actions={
        value && (
          <ScopedButton scope="rebalances:start" onClick={() => rebalance(value)}>
            Rebalance
          </ScopedButton>
        )
      }
    >
      <div class="tabs">
        {Object.entries(TABS).map(([key, word]) => (
          <Link
            key={key}
            href={key === "targets" ? `/model/${id}` : `/model/${id}?tab=${key}`}
            aria-current={key === tab ? "page" : undefined}
          >
            {word}
          </Link>
        ))}
      </div>
      {tab === "followers" && <Followers id={id} />}
      {tab === "history" && <Versions id={id} />}
      {tab === "targets" && (
        <Loaded of={model} lines={12}>
          {(given) => (
            <Loaded of={rules} lines={12}>
              {(known) => (
                <Editor
                  key={search}
                  model={given}
                  rules={known}
                  search={search}
                  readNewest={() => readModel(id)}
                  onSaved={model.set}
                />
              )}
            </Loaded>
          )}
        </Loaded>
      )}
      {dialog}
    </Page>
  );
}

type Drift = Schema<"DriftSummaryAnswer">;

function Followers({ id }: { id: string }) {
  const rows = usePages<Drift>(
    `drift ${id}`,
    (offset, limit, signal) =>
      list("/api/v1/model/{model_id}/drift", {
        path: { model_id: id },
        query: { offset, limit },
        signal,
      }),
    100,
  );
  const total = rows.total ?? 0;
  const known = Array.from({ length: Math.min(total, 100) }, (_, each) => rows.rowAt(each)).filter(
    (row) => row !== undefined,
  );
  const nameOf = usePortfolioNames(known.map((row) => row.portfolio_id));
  const tickerOf = useTickers(known.flatMap((row) => row.largest_deviation?.security_id ?? []));
  const columns: Column<Drift>[] = [
    portfolioColumn(nameOf, "minmax(9rem, 1fr)"),
    {
      key: "status",
      head: "Status",
      width: "8.5rem",
      cell: (row) => <Status value={row.status} />,
    },
    {
      key: "largest",
      head: "Largest deviation, pp",
      width: "11rem",
      isNumber: true,
      cell: (row) => deviation(row),
    },
    {
      key: "out",
      head: "Out of band",
      width: "6rem",
      isNumber: true,
      cell: (row) => count(row.out_of_band),
    },
    {
      key: "drift",
      head: "Total drift %",
      width: "6.5rem",
      isNumber: true,
      cell: (row) => percent(row.total_drift_weight),
    },
    {
      key: "cash",
      head: "Cash %",
      width: "5rem",
      isNumber: true,
      cell: (row) => percent(row.cash_weight),
    },
    {
      key: "value",
      head: "Market value",
      width: "9rem",
      isNumber: true,
      cell: (row) => money(row.market_value),
    },
  ];
  const deviation = ({ largest_deviation: largest }: Drift) => {
    if (!largest) return "–";
    const name = tickerOf(largest.security_id) ?? largest.security_id;
    // A target may be a fraction, whose distance has no decimal.
    if (!isDecimal(largest.target)) return name;
    return `${name} ${points(subtract(largest.actual, largest.target))}`;
  };
  return (
    <Section title="Followers" note={`${count(rows.total)}, measured now at the present prices`}>
      <Listed rows={rows} empty="No portfolio follows this model.">
        {(total) => (
          <Grid
            label="Followers"
            columns={columns}
            total={total}
            rowAt={rows.rowAt}
            onWindow={rows.onWindow}
          />
        )}
      </Listed>
    </Section>
  );
}
