/** One rebalance of one model: its outcomes, portfolio by portfolio, and why some have no plan. */

import { Link, useLocation, useSearch } from "wouter-preact";
import { download, list, read, type Schema } from "../api.ts";
import { OUTCOMES, Stacked } from "../charts/stacked.tsx";
import { CompareLink } from "../compare/link.tsx";
import { count, money, percent } from "../format.ts";
import { ChosenGrid } from "../lists/column_menu.tsx";
import { portfolioColumn } from "../lists/columns.tsx";
import { readFilters, withFilters } from "../lists/filters.ts";
import type { Column } from "../lists/grid.tsx";
import { groupsOf, useGroupedPages } from "../lists/grouping.ts";
import { Listed, PortfolioIdField } from "../lists/listed.tsx";
import { type PagedRows, useShown } from "../lists/pages.ts";
import { useEditKey } from "../models/edit_key.ts";
import { usePortfolioNames } from "../names.ts";
import { Facts, Id, Loaded, Page, Section, Status, Time } from "../parts.tsx";
import { useReasons } from "../plan/reasons.ts";
import { useResource } from "../resource.ts";
import { CausesSection } from "./causes.tsx";

type Outcome = Schema<"OutcomeSummary">;
export type Rebalance = Schema<"RebalanceSummary">;
const FILTERS = ["status", "code", "portfolio_id", "sort_by"] as const;

export const slugOf = (type: string): string => type.replace("/problems/", "");

export function RebalancePage({ id }: { id: string }) {
  const rebalance = useResource(`rebalance ${id}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/summary", { path: { rebalance_id: id }, signal }),
  );
  const value = rebalance.value;
  const path = `/rebalance/${id}`;
  useEditKey(value && `/model/${value.model_id}`);
  return (
    <Page
      title={value ? `Rebalance of ${value.model_name}` : "Rebalance"}
      meta={
        <>
          <Id value={id} />
          {value && <Status value={value.status} />}
        </>
      }
      actions={
        <>
          <Downloads id={id} />
          <CompareLink rebalanceId={id} />
          <Link class="button" href={`/review/${id}`}>
            Review
          </Link>
          <Link class="button" href={`${path}/orders`}>
            Orders
          </Link>
        </>
      }
    >
      <Loaded of={rebalance} lines={4}>
        {(given) => (
          <>
            <Stacked
              counts={given.counts}
              total={given.number_of_portfolios}
              href={(outcome) => `${path}?status=${outcome}`}
            />
            <Facts
              facts={[
                { term: "portfolios", value: count(given.number_of_portfolios) },
                {
                  term: "model",
                  value: <Link href={`/model/${given.model_id}`}>{given.model_name}</Link>,
                  note: `version ${given.model_version}`,
                },
                { term: "begun", value: <Time value={given.rebalance_date} /> },
                { term: "finished", value: <Time value={given.finished_at} /> },
                {
                  term: "run",
                  value: given.run_id ? (
                    <Link href={`/runs/${given.run_id}`}>one of its rebalances</Link>
                  ) : (
                    "none, it was asked for directly"
                  ),
                },
                {
                  term: "options",
                  value: JSON.stringify(given.options).slice(1, -1) || "the defaults",
                },
              ]}
            />
            {hasPlanless(given.counts) && <Causes id={id} />}
          </>
        )}
      </Loaded>
      <Outcomes id={id} path={path} />
    </Page>
  );
}

export const hasPlanless = (counts: Record<string, number>): boolean =>
  (counts["INFEASIBLE"] ?? 0) + (counts["FAILED"] ?? 0) > 0;

function Causes({ id }: { id: string }) {
  const causes = useResource(`causes ${id}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/causes", { path: { rebalance_id: id }, signal }),
  );
  return (
    <CausesSection causes={causes} hrefOf={({ type }) => `/rebalance/${id}?code=${slugOf(type)}`} />
  );
}

function Downloads({ id }: { id: string }) {
  const get = (kind: string, ending: string) =>
    void download(`/api/v1/rebalance/${id}/transactions`, kind, `trades-${id}.${ending}`);
  const excel = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
  return (
    <>
      <button type="button" onClick={() => get("text/csv", "csv")}>
        Trades as CSV
      </button>
      <button type="button" onClick={() => get(excel, "xlsx")}>
        as Excel
      </button>
    </>
  );
}

function Outcomes({ id, path }: { id: string; path: string }) {
  const search = useSearch();
  const [, navigate] = useLocation();
  const filters = readFilters(search, FILTERS);
  const { status } = filters;
  const rows = useGroupedPages<Outcome>(
    "outcomes",
    `${id} ${JSON.stringify(filters)}`,
    [{ filter: "status", words: "Outcome", groups: groupsOf(status ? [status] : OUTCOMES) }],
    (part, signal) =>
      list("/api/v1/rebalance/{rebalance_id}/outcomes", {
        path: { rebalance_id: id },
        query: { ...filters, ...part },
        signal,
      }),
  );
  const change = (changes: Record<string, string>) =>
    navigate(withFilters(path, search, changes), { replace: true });
  return (
    <Section
      title="Outcomes"
      note={rows.total === undefined ? "" : count(rows.total)}
      aside={
        <>
          <label class="inline">
            Outcome
            <select
              value={filters["status"] ?? ""}
              onChange={(event) => change({ status: event.currentTarget.value })}
            >
              <option value="">all</option>
              {OUTCOMES.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <PortfolioIdField filters={filters} onChange={change} />
          {filters["code"] && (
            <button type="button" onClick={() => change({ code: "" })}>
              {filters["code"]} ✕
            </button>
          )}
        </>
      }
    >
      <Listed rows={rows} empty="No outcome matches.">
        {() => (
          <OutcomeGrid
            id={id}
            rows={rows}
            sort={filters["sort_by"] ?? ""}
            onSort={(sort) => change({ sort_by: sort })}
          />
        )}
      </Listed>
    </Section>
  );
}

function OutcomeGrid(props: {
  id: string;
  rows: PagedRows<Outcome>;
  sort: string;
  onSort: (sort: string) => void;
}) {
  const { rows } = props;
  const { shown, onWindow } = useShown(rows);
  const nameOf = usePortfolioNames(shown.map((row) => row.portfolio_id));
  const reasonOf = useReasons(shown.map((row) => row.error?.detail ?? ""));
  const hrefOf = (portfolio: string) =>
    `/rebalance/${props.id}/portfolio/${encodeURIComponent(portfolio)}`;
  const columns: Column<Outcome>[] = [
    portfolioColumn(nameOf, "minmax(9rem, 13rem)", hrefOf),
    {
      key: "status",
      head: "Outcome",
      width: "7.5rem",
      cell: (row) => <Status value={row.status} />,
    },
    { ...amount("market_value", "Market value"), cell: (row) => money(row.market_value) },
    {
      ...amount("cash_before_rebalance", "Cash before"),
      cell: (row) => money(row.cash_before_rebalance),
    },
    {
      ...amount("cash_after_rebalance", "Cash after"),
      cell: (row) => money(row.cash_after_rebalance),
    },
    {
      key: "trades",
      head: "Trades",
      width: "4rem",
      isNumber: true,
      cell: (row) => count(row.transactions),
    },
    { ...amount("turnover", "Turnover"), isSortable: false, cell: (row) => money(row.turnover) },
    {
      key: "drift",
      head: "Drift %",
      width: "8rem",
      isNumber: true,
      cell: (row) =>
        row.before && row.after
          ? `${percent(row.before.total_drift_weight)} to ${percent(row.after.total_drift_weight)}`
          : "–",
    },
    {
      key: "reason",
      head: "Why",
      width: "minmax(8rem, 1fr)",
      cell: (row) =>
        row.error && <span title={row.error.detail}>{reasonOf(withoutTitle(row.error))}</span>,
    },
  ];
  return (
    <ChosenGrid
      list="outcomes"
      label="Outcomes"
      columns={columns}
      rows={rows}
      keyOf={(row) => row.portfolio_id}
      href={(row) => hrefOf(row.portfolio_id)}
      onWindow={onWindow}
      sort={props.sort}
      onSort={props.onSort}
    />
  );
}

const withoutTitle = ({ title, detail }: Schema<"Reason">): string =>
  detail.replace(`${title}: `, "");

const amount = (key: string, head: string) =>
  ({ key, head, width: "8rem", isNumber: true, isSortable: true }) as const;
