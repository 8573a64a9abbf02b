/** Both rebalances in figures, and by how much they differ. */

import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import { read } from "../api.ts";
import { OUTCOMES } from "../charts/stacked.tsx";
import { compare, subtract, sum } from "../exact.ts";
import { count, money, whole } from "../format.ts";
import { Problem, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { MAX_WHOLE, type Outcome, type Pair, type Rebalance } from "./pairs.ts";

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

/** Number and amount of all trades of a rebalance, as the service adds them up. */
async function readTrades(rebalance_id: string, signal: AbortSignal) {
  const { buys, sells, held } = await read("/api/v1/rebalance/{rebalance_id}/transactions/totals", {
    path: { rebalance_id },
    signal,
  });
  const parts = [buys, sells, held];
  return {
    trades: String(parts.reduce((total, each) => total + each.transactions, 0)),
    turnover: sum(parts.map((each) => each.amount)),
  };
}

type Figure = "cash_after_rebalance" | "objective";
const added = (outcomes: readonly (Outcome | undefined)[], figure: Figure): string =>
  sum(outcomes.map((each) => each?.[figure] ?? "0"));

/** The totals of both; cash and objective where `pairs` has every outcome. */
export function Totals(props: { here: Rebalance; there: Rebalance; pairs: Pair[] | undefined }) {
  const { here, there, pairs } = props;
  const trades = useResource(`totals ${here.rebalance_id} ${there.rebalance_id}`, (signal) =>
    Promise.all([readTrades(here.rebalance_id, signal), readTrades(there.rebalance_id, signal)]),
  );
  const [ours, theirs] = trades.value ?? [];
  const outcome = (each: Rebalance, word: string) => String(each.counts[word] ?? 0);
  const line = (term: string, figure: Figure): Line => ({
    term,
    here: pairs
      ? added(
          pairs.map((pair) => pair.here),
          figure,
        )
      : null,
    there: pairs
      ? added(
          pairs.map((pair) => pair.there),
          figure,
        )
      : null,
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
    { term: "trades", here: ours?.trades ?? null, there: theirs?.trades ?? null, isCount: true },
    { term: "turnover", here: ours?.turnover ?? null, there: theirs?.turnover ?? null },
    line("cash after", "cash_after_rebalance"),
    line("objective", "objective"),
  ];
  const head = (each: Rebalance, words: string) => (
    <Link href={`/rebalance/${each.rebalance_id}`}>
      {words}, version {each.model_version}, <Time value={each.rebalance_date} />
    </Link>
  );
  const isLarge = Math.max(here.number_of_portfolios, there.number_of_portfolios) > MAX_WHOLE;
  return (
    <>
      {trades.error && <Problem error={trades.error} retry={trades.reload} />}
      <Figures
        label="Totals"
        here={head(here, "This")}
        there={head(there, "Other")}
        lines={lines}
      />
      {isLarge && (
        <p class="muted">
          Cash and objective are added up for rebalances of up to {count(MAX_WHOLE)} portfolios.
        </p>
      )}
    </>
  );
}
