/** What came of the files: outcomes of all portfolios, and the plan of one of them. */

import { useLayoutEffect } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { OUTCOMES, Stacked } from "../charts/stacked.tsx";
import { sum } from "../exact.ts";
import { count, money, whole } from "../format.ts";
import { onKey } from "../keys.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Facts, Problem, Section, Status } from "../parts.tsx";
import { PlanParts } from "../plan/plan.tsx";
import { type Outcome, planOf, type Solved } from "./solving.ts";

const PATH = "/upload";
const NO_TICKERS = () => undefined; // ids of files are what their author calls the securities

export function Outcomes({ solved }: { solved: Solved }) {
  const { outcomes, problem } = solved;
  const search = useSearch();
  const { status, portfolio } = readFilters(search, ["status", "portfolio"]);
  const counts: Record<string, number> = {};
  for (const each of outcomes) counts[each.status] = (counts[each.status] ?? 0) + 1;
  const shown = outcomes.filter((each) => !status || each.status === status);
  const chosen = outcomes.find((each) => each.portfolio_id === portfolio);
  const hrefOf = (changes: Record<string, string>) => withFilters(PATH, search, changes);
  return (
    <>
      {problem && <Problem error={problem} />}
      <Stacked
        counts={counts}
        total={outcomes.length}
        href={(outcome) => hrefOf({ status: outcome })}
      />
      <Facts
        facts={[
          { term: "portfolios", value: count(outcomes.length) },
          {
            term: "trades",
            value: count(outcomes.reduce((total, each) => total + each.transactions.length, 0)),
          },
          { term: "turnover", value: money(sum(outcomes.map((each) => each.turnover))) },
        ]}
      />
      <Assumptions outcomes={outcomes} />
      {chosen && <PlanOf outcome={chosen} hrefToAll={hrefOf({ portfolio: "" })} />}
      <OutcomeGrid outcomes={shown} status={status ?? ""} hrefOf={hrefOf} />
    </>
  );
}

function Assumptions({ outcomes }: { outcomes: readonly Outcome[] }) {
  const numbers = new Map<string, number>();
  for (const note of outcomes.flatMap((each) => each.notes ?? [])) {
    numbers.set(note, (numbers.get(note) ?? 0) + 1);
  }
  if (!numbers.size) return null;
  return (
    <ul class="lines" aria-label="What was assumed">
      {[...numbers].map(([note, number]) => (
        <li key={note}>
          Assumed for {count(number)} of {count(outcomes.length)} portfolios: {note}
        </li>
      ))}
    </ul>
  );
}

function PlanOf({ outcome, hrefToAll }: { outcome: Outcome; hrefToAll: string }) {
  const [, navigate] = useLocation();
  useLayoutEffect(() => onKey("Escape", () => navigate(hrefToAll)));
  return (
    <Section
      title={`Plan of ${outcome.portfolio_id}`}
      note={<Status value={outcome.status} />}
      aside={<Link href={hrefToAll}>Close</Link>}
    >
      {outcome.positions ? (
        <PlanParts plan={planOf(outcome)} tickerOf={NO_TICKERS} />
      ) : (
        <p>These files have more positions than the page draws. The workbook has all of them.</p>
      )}
    </Section>
  );
}

function OutcomeGrid(props: {
  outcomes: readonly Outcome[];
  status: string;
  hrefOf: (changes: Record<string, string>) => string;
}) {
  const { outcomes, status, hrefOf } = props;
  const [, navigate] = useLocation();
  const href = (row: Outcome) => hrefOf({ portfolio: row.portfolio_id });
  const columns: Column<Outcome>[] = [
    {
      key: "portfolio",
      head: "Portfolio",
      width: "minmax(8rem, 13rem)",
      cell: (row) => <Link href={href(row)}>{row.portfolio_id}</Link>,
    },
    {
      key: "status",
      head: "Outcome",
      width: "7.5rem",
      cell: (row) => <Status value={row.status} />,
    },
    amount("value", "Market value", (row) => row.market_value),
    amount("cash", "Cash after", (row) => row.cash_after_rebalance),
    {
      key: "trades",
      head: "Trades",
      width: "4rem",
      isNumber: true,
      cell: (row) => count(row.transactions.length),
    },
    amount("turnover", "Turnover", (row) => row.turnover),
    {
      key: "why",
      head: "Why, and what was assumed",
      width: "minmax(10rem, 1fr)",
      cell: (row) => {
        const words = [row.error?.detail, ...(row.notes ?? [])].filter(Boolean).join("; ");
        return <span title={words}>{words}</span>;
      },
    },
  ];
  return (
    <Section
      title="Outcomes"
      note={count(outcomes.length)}
      aside={
        <label class="inline">
          Outcome
          <select
            value={status}
            onChange={(event) => navigate(hrefOf({ status: event.currentTarget.value }))}
          >
            <option value="">all</option>
            {OUTCOMES.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      }
    >
      <Grid
        label="Outcomes"
        columns={columns}
        total={outcomes.length}
        rowAt={(index) => outcomes[index]}
        keyOf={(row) => row.portfolio_id}
        href={href}
      />
    </Section>
  );
}

const amount = (
  key: string,
  head: string,
  of: (row: Outcome) => string | null,
): Column<Outcome> => ({
  key,
  head,
  width: "8rem",
  isNumber: true,
  cell: (row) => <span title={whole(of(row))}>{money(of(row))}</span>,
});
