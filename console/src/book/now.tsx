/** One portfolio of the book against its bands, measured now. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { read, type Schema } from "../api.ts";
import { BandAxis, BandRow, type Mark, scaleOf } from "../charts/bands.tsx";
import { useWidth } from "../charts/width.ts";
import { subtract, toFloat } from "../exact.ts";
import { fullPercent, money, percent, quantity } from "../format.ts";
import { onKey } from "../keys.ts";
import { securityColumn } from "../lists/columns.tsx";
import { type Column, Grid } from "../lists/grid.tsx";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Loaded, Section, Status } from "../parts.tsx";
import { useResource } from "../resource.ts";

type Drift = Schema<"PortfolioDriftAnswer">;
type Standing = Drift["drifts"][number];

export function PortfolioNow({ id, onClose }: { id: string; onClose: () => void }) {
  const drift = useResource(`now ${id}`, (signal) =>
    read("/api/v1/portfolio/{portfolio_id}/drift", { path: { portfolio_id: id }, signal }),
  );
  const nameOf = usePortfolioNames([id]);
  useLayoutEffect(() => onKey("Escape", onClose));
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.scrollIntoView({ block: "nearest" }), [drift.readAt]);
  return (
    <div ref={place}>
      <Section
        title={nameOf(id) ?? id}
        note="measured now at the present prices"
        aside={
          <button type="button" onClick={onClose}>
            Close
          </button>
        }
      >
        <Loaded of={drift} lines={10}>
          {(given) => <Standings drift={given} />}
        </Loaded>
      </Section>
    </div>
  );
}

function markOf(standing: Standing, value: number): Mark {
  const part = (amount: string) => (value > 0 ? toFloat(amount) / value : 0);
  return {
    low: part(standing.lower_edge),
    high: part(standing.upper_edge),
    target: part(subtract(standing.market_value, standing.deviation)),
    before: part(standing.market_value),
    wasOutside: standing.side !== null,
  };
}

function Standings({ drift }: { drift: Drift }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const tickerOf = useTickers(drift.drifts.map((each) => each.security_id));
  const rows = [...drift.drifts].sort(
    (left, right) => Math.abs(toFloat(right.deviation)) - Math.abs(toFloat(left.deviation)),
  );
  const value = toFloat(drift.market_value);
  const marks = new Map(rows.map((each) => [each, markOf(each, value)]));
  const scale = scaleOf([...marks.values()], false);
  const picture = (row: Standing) => {
    const mark = marks.get(row);
    return (
      <div class="fills" ref={row === rows[0] ? box : null}>
        {mark && <BandRow mark={mark} scale={scale} width={width} />}
      </div>
    );
  };
  const columns: Column<Standing>[] = [
    securityColumn(tickerOf, "5rem"),
    {
      key: "picture",
      head: "Weight",
      width: "minmax(13rem, 1fr)",
      headCell: <BandAxis scale={scale} width={width} isDistance={false} />,
      cell: picture,
    },
    number("actual", "Actual %", (row) => percent(row.actual)),
    number("target", "Target %", (row) => fullPercent(row.target)),
    number("quantity", "Shares", (row) => quantity(row.quantity)),
    number("deviation", "From target", (row) => money(row.deviation), "7rem"),
    {
      key: "side",
      head: "Out of band",
      width: "10rem",
      cell: (row) => row.side && `${row.side} by ${money(row.outside)}`,
    },
  ];
  return (
    <>
      <p>
        <Status value={drift.status} /> market value {money(drift.market_value)}, cash{" "}
        {percent(drift.cash_weight)} %, total drift {percent(drift.total_drift_weight)} %
      </p>
      <Grid
        label="Securities"
        columns={columns}
        total={rows.length}
        rowAt={(index) => rows[index]}
        keyOf={(row) => row.security_id}
      />
    </>
  );
}

const number = (
  key: string,
  head: string,
  cell: (row: Standing) => string,
  width = "5rem",
): Column<Standing> => ({ key, head, width, isNumber: true, cell });
