/** What an edit would do to those who follow the model, beside what the stored model would do. */

import { useState } from "preact/hooks";
import { type Schema, write } from "../api.ts";
import { OUTCOMES } from "../charts/stacked.tsx";
import { compare, subtract, sum } from "../exact.ts";
import { count, money, whole } from "../format.ts";
import { usePortfolioNames } from "../names.ts";
import { Id, Problem, ScopedButton, Section } from "../parts.tsx";
import { useReasons } from "../plan/reasons.ts";
import { useAction } from "../resource.ts";

type Attempt = Schema<"WhatIfAnswer">;
type Outcome = Schema<"OutcomeSummary">;
interface Comparison {
  tried: string; // the positions, as a text
  stored: Attempt;
  edited: Attempt;
}
const SAMPLES = [100, 1000];
const SHOWN = 20;

export function WhatIf(props: { modelId: string; positions: unknown[]; isReady: boolean }) {
  const { modelId, positions, isReady } = props;
  const [sample, setSample] = useState(100);
  const [result, setResult] = useState<Comparison>();
  const { isBusy, error, run } = useAction();
  const tried = JSON.stringify(positions);
  const attempt = (body: object) =>
    write<Attempt>("POST", "/api/v1/model/{model_id}/what-if", {
      path: { model_id: modelId },
      body: { ...body, sample },
    });
  const compare = () =>
    run(async () => {
      // Both take the same sample of followers, so that only the positions differ.
      const [stored, edited] = await Promise.all([attempt({}), attempt({ positions })]);
      setResult({ tried, stored, edited });
    });
  const isOld = result !== undefined && result.tried !== tried;
  return (
    <Section
      title="What if"
      note="nothing is stored"
      aside={
        <>
          <label class="inline">
            Followers, at most
            <select
              value={sample}
              onChange={(event) => setSample(Number(event.currentTarget.value))}
            >
              {SAMPLES.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <ScopedButton
            scope="optimize:use"
            disabled={isBusy || !isReady}
            onClick={() => void compare()}
          >
            {isBusy ? "Trying" : "Try"}
          </ScopedButton>
        </>
      }
    >
      {error && <Problem error={error} retry={() => void compare()} />}
      {isOld && <p class="muted">You have changed the targets since: try again.</p>}
      {result && (
        <div class={isOld ? "stack old" : "stack"} aria-busy={isBusy}>
          <Figures {...result} />
          <NewlyPlanless {...result} />
        </div>
      )}
    </Section>
  );
}

const tradesOf = ({ outcomes }: Attempt) =>
  outcomes.reduce((total, each) => total + each.transactions, 0);
const turnoverOf = ({ outcomes }: Attempt) => sum(outcomes.map(({ turnover }) => turnover));
const signed = (text: string, isMore: boolean) => (isMore ? `+${text}` : text);

function Figures({ stored, edited }: Comparison) {
  const turnovers = [turnoverOf(stored), turnoverOf(edited)] as const;
  const more = subtract(turnovers[1], turnovers[0]);
  const numbers: [string, number, number][] = [
    ["out of band now", stored.out_of_band_before, edited.out_of_band_before],
    ["out of band after", stored.out_of_band_after, edited.out_of_band_after],
    ...OUTCOMES.map((each): [string, number, number] => [
      each,
      stored.counts[each] ?? 0,
      edited.counts[each] ?? 0,
    ]),
    ["trades", tradesOf(stored), tradesOf(edited)],
  ];
  return (
    <>
      <p>
        {count(edited.tried)} of {count(edited.followers)} followers, at the prices and holdings of
        the moment
      </p>
      <div class="sheet">
        <table aria-label="What if" class="figures">
          <thead>
            <tr>
              <th scope="col">Portfolios</th>
              <th scope="col" class="number">
                Stored
              </th>
              <th scope="col" class="number">
                Edited
              </th>
              <th scope="col" class="number">
                Change
              </th>
            </tr>
          </thead>
          <tbody>
            {numbers.map(([term, one, other]) => (
              <tr key={term}>
                <th scope="row">{term}</th>
                <td class="number">{count(one)}</td>
                <td class="number">{count(other)}</td>
                <td class="number">{signed(count(other - one), other > one)}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">turnover</th>
              <td class="number" title={whole(turnovers[0])}>
                {money(turnovers[0])}
              </td>
              <td class="number" title={whole(turnovers[1])}>
                {money(turnovers[1])}
              </td>
              <td class="number" title={whole(more)}>
                {signed(money(more), compare(more, "0") > 0)}
              </td>
            </tr>
          </tbody>
        </table>
      </div>
    </>
  );
}

const isPlanless = ({ status }: Outcome) => status === "INFEASIBLE" || status === "FAILED";

function NewlyPlanless({ stored, edited }: Comparison) {
  const before = new Set(stored.outcomes.filter(isPlanless).map((each) => each.portfolio_id));
  const found = edited.outcomes.filter(
    (each) => isPlanless(each) && !before.has(each.portfolio_id),
  );
  const shown = found.slice(0, SHOWN);
  const nameOf = usePortfolioNames(shown.map((each) => each.portfolio_id));
  const reasonOf = useReasons(shown.map((each) => each.error?.detail ?? ""));
  if (!found.length) return <p>No portfolio would lose its plan.</p>;
  return (
    <>
      <p>
        <b>{count(found.length)} would lose their plan</b>
      </p>
      <ul class="lines">
        {shown.map((each) => (
          <li key={each.portfolio_id}>
            <Id value={each.portfolio_id} label={nameOf(each.portfolio_id) ?? each.portfolio_id} />{" "}
            {each.status}: {reasonOf(each.error?.detail ?? "")}
          </li>
        ))}
        {found.length > shown.length && <li>and {count(found.length - shown.length)} more</li>}
      </ul>
    </>
  );
}
