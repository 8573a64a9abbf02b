/** Both rebalances in figures, and by how much they differ. */

import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import { read } from "../api.ts";
import { OUTCOMES } from "../charts/stacked.tsx";
import { compare, subtract, sum } from "../exact.ts";
import { count, money, whole } from "../format.ts";
import { Problem, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";
import type { Rebalance } from "./pairs.ts";

interface Line {
  term: string;
  here: string | null;
  there: string | null;
  isCount?: boolean;
}

const more = (text: string, form: (text: string) => string): string =>
  compare(text, "0") > 0 ? `+${form(text)}` : form(text);
const counted = (text: string): string => count(Number(text));

export function Figures(props: {
  label: string;
  here: ComponentChildren;
  there: ComponentChildren;
  lines: readonly Line[];
}) {
  const heads = [props.there, props.here, "Change"];
  return (
    <div class="sheet">
      <table aria-label={props.label} class="figures">
        <thead>
          <tr>
            <th scope="col">Figure</th>
            {heads.map((head, place) => (
              <th key={place} scope="col" class="number">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.lines.map(({ term, here, there, isCount }) => {
            const form = isCount ? counted : (text: string) => money(text);
            const shown = (text: string | null) => (text === null ? "–" : form(text));
            const change = here === null || there === null ? null : subtract(here, there);
            return (
              <tr key={term}>
                <th scope="row">{term}</th>
                <td class="number" title={whole(there)}>
                  {shown(there)}
                </td>
                <td class="number" title={whole(here)}>
                  {shown(here)}
                </td>
                <td class="number" title={whole(change)}>
                  {change === null ? "–" : more(change, form)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Trades, their amount, cash and objective of a rebalance, as the service adds them up. */
async function readTotals(rebalance_id: string, signal: AbortSignal) {
  const of = { path: { rebalance_id }, signal };
  const [{ buys, sells, held }, outcomes] = await Promise.all([
    read("/api/v1/rebalance/{rebalance_id}/transactions/totals", of),
    read("/api/v1/rebalance/{rebalance_id}/outcomes/totals", of),
  ]);
  const parts = [buys, sells, held];
  return {
    trades: String(parts.reduce((total, each) => total + each.transactions, 0)),
    turnover: sum(parts.map((each) => each.amount)),
    cash: outcomes.cash_after_rebalance,
    objective: outcomes.objective,
  };
}

type Sums = Awaited<ReturnType<typeof readTotals>>;

/** The totals of both. */
export function Totals({ here, there }: { here: Rebalance; there: Rebalance }) {
  const totals = useResource(`totals ${here.rebalance_id} ${there.rebalance_id}`, (signal) =>
    Promise.all([readTotals(here.rebalance_id, signal), readTotals(there.rebalance_id, signal)]),
  );
  const [ours, theirs] = totals.value ?? [];
  const outcome = (each: Rebalance, word: string) => String(each.counts[word] ?? 0);
  const line = (term: string, figure: keyof Sums): Line => ({
    term,
    here: ours?.[figure] ?? null,
    there: theirs?.[figure] ?? null,
  });
  const lines: Line[] = [
    {
      term: "portfolios",
      here: String(here.number_of_portfolios),
      there: String(there.number_of_portfolios),
      isCount: true,
    },
    ...OUTCOMES.filter((word) => here.counts[word] || there.counts[word]).map((word) => ({
      term: word,
      here: outcome(here, word),
      there: outcome(there, word),
      isCount: true,
    })),
    { ...line("trades", "trades"), isCount: true },
    line("turnover", "turnover"),
    line("cash after", "cash"),
    line("objective", "objective"),
  ];
  const head = (each: Rebalance, words: string) => (
    <Link href={`/rebalance/${each.rebalance_id}`}>
      {words}, version {each.model_version}, <Time value={each.rebalance_date} />
    </Link>
  );
  return (
    <>
      {totals.error && <Problem error={totals.error} retry={totals.reload} />}
      <Figures
        label="Totals"
        here={head(here, "This")}
        there={head(there, "Other")}
        lines={lines}
      />
    </>
  );
}
