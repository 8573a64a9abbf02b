/** The rebalances that another one may be compared with: those of the same portfolio. */

import { list, type Schema, write } from "../api.ts";
import { count, moment } from "../format.ts";
import { TextFilter } from "../lists/listed.tsx";

const MAX_OFFERED = 20;

export type Other = Pick<
  Schema<"RebalanceResult">,
  "rebalance_id" | "model_name" | "rebalance_date" | "number_of_portfolios"
>;

/** The newest rebalances of a portfolio, or of the first portfolio of the rebalance. */
export async function readOthers(
  rebalance_id: string,
  portfolio: string,
  signal: AbortSignal,
): Promise<Other[]> {
  const path = { rebalance_id };
  const first = portfolio
    ? portfolio
    : (
        await list("/api/v1/rebalance/{rebalance_id}/outcomes", {
          path,
          query: { limit: 1 },
          signal,
        })
      ).rows[0]?.portfolio_id;
  if (!first) return [];
  const rows = await write<Other[]>("POST", "/api/v1/rebalances/portfolios", {
    query: { limit: MAX_OFFERED },
    body: { portfolios: [first] },
  });
  return rows.filter((each) => each.rebalance_id !== rebalance_id);
}

/** The one before, otherwise the newest. */
export const usual = (others: readonly Other[], begun: string): string =>
  (others.find((each) => each.rebalance_date < begun) ?? others[0])?.rebalance_id ?? "";

export function Chooser(props: {
  others: readonly Other[];
  chosen: string;
  onChoose: (rebalanceId: string) => void;
}) {
  const { others, chosen, onChoose } = props;
  const isListed = others.some((each) => each.rebalance_id === chosen);
  return (
    <p class="actions chosen">
      <label class="inline">
        Compare with
        <select value={chosen} onChange={(event) => onChoose(event.currentTarget.value)}>
          {!isListed && <option value={chosen}>{chosen || "none"}</option>}
          {others.map((each) => (
            <option key={each.rebalance_id} value={each.rebalance_id}>
              {moment(each.rebalance_date)}, {each.model_name}, {count(each.number_of_portfolios)}{" "}
              portfolios
            </option>
          ))}
        </select>
      </label>
      <TextFilter label="or by id" size={26} value={chosen} onChange={onChoose} />
    </p>
  );
}
