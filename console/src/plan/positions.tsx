/** Positions of a plan: the picture of the bands, and the same figures beside it. */

import { BandAxis, BandRow, centre, scaleOf } from "../charts/bands.tsx";
import { useWidth } from "../charts/width.ts";
import { toFloat } from "../exact.ts";
import { fullPercent, percent } from "../format.ts";
import { securityColumn } from "../lists/columns.tsx";
import { type Column, Grid } from "../lists/grid.tsx";
import { Section } from "../parts.tsx";
import { markOf, nearestWeights, ORDERS, reasonOf, SORTS } from "./marks.ts";
import type { Plan, Position, TickerOf } from "./plan.tsx";
import { bandOf, number, PLANNED } from "./position_columns.tsx";
import { useView } from "./view.ts";

export function PositionGrid({ plan, tickerOf }: { plan: Plan; tickerOf: TickerOf }) {
  const { sort, isDistance, change } = useView();
  const [box, width] = useWidth<HTMLDivElement>();
  const base = toFloat(plan.base ?? plan.market_value ?? "0");
  const nearest = nearestWeights(plan, base);
  const hasPlan = plan.problem === null;
  const order = ORDERS[sort];
  const rows = [...plan.positions].sort((left, right) => order(right) - order(left));
  const marks = new Map(
    rows.map((each) => [
      each.security_id,
      markOf(each, base, hasPlan, nearest.get(each.security_id)),
    ]),
  );
  const scale = scaleOf([...marks.values()], isDistance);
  const picture = (row: Position) => {
    const mark = marks.get(row.security_id);
    return (
      <div class="fills" ref={row === rows[0] ? box : null}>
        {mark && <BandRow mark={isDistance ? centre(mark) : mark} scale={scale} width={width} />}
      </div>
    );
  };
  const columns: Column<Position>[] = [
    securityColumn(tickerOf, "4.6rem"),
    {
      key: "picture",
      head: isDistance ? "Distance from target, points" : "Weight",
      width: "minmax(13rem, 1fr)",
      headCell: <BandAxis scale={scale} width={width} isDistance={isDistance} />,
      cell: picture,
    },
    number("before", "Before %", 3.8, (row) => percent(row.original_weight)),
    number("target", "Target %", 3.7, (row) => fullPercent(row.target)),
    number("band", "Band ±pp", 4.1, bandOf, true),
    ...(hasPlan ? PLANNED : []),
    { key: "reason", head: hasPlan ? "Reason" : "Now", width: "11.2rem", cell: reasonOf },
  ];
  return (
    <Section
      title="Positions"
      aside={
        <>
          <Legend hasPlan={hasPlan} hasNearest={nearest.size > 0} />
          <Choice
            label="Picture"
            value={isDistance ? "distance" : "weight"}
            of={["weight", "distance"]}
            onChange={(view) => change({ view: view === "distance" ? view : "" })}
          />
          <Choice
            label="Order"
            value={sort}
            of={Object.keys(SORTS)}
            onChange={(chosen) => change({ sort: chosen })}
          />
        </>
      }
    >
      <Grid
        label="Positions"
        columns={columns}
        total={rows.length}
        rowAt={(index) => rows[index]}
        keyOf={(row) => row.security_id}
      />
    </Section>
  );
}

function Legend({ hasPlan, hasNearest }: { hasPlan: boolean; hasNearest: boolean }) {
  return (
    <ul class="legend marks">
      <li>
        <i class="dot before" /> before
      </li>
      {hasPlan && (
        <li>
          <i class="dot after" /> after
        </li>
      )}
      {hasNearest && (
        <li>
          <i class="dot nearest" /> nearest plan
        </li>
      )}
      <li>
        <i class="swatch" /> band
      </li>
      <li>
        <i class="swatch out" /> band it was outside of
      </li>
    </ul>
  );
}

function Choice(props: {
  label: string;
  value: string;
  of: readonly string[];
  onChange: (value: string) => void;
}) {
  return (
    <label class="inline">
      {props.label}
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.of.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
}
