/** The two plans of one portfolio: which orders were added, dropped or changed. */

import { useLayoutEffect } from "preact/hooks";
import { Link } from "wouter-preact";
import { compare, subtract } from "../exact.ts";
import { count, money, percent, quantity } from "../format.ts";
import { onKey } from "../keys.ts";
import { securityColumn } from "../lists/columns.tsx";
import { type Column, Grid } from "../lists/grid.tsx";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Empty, Loaded, Section } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { CHANGES, type Change, changeOf, changeWords, countChanges, signed } from "./changes.ts";
import { type Detail, readDetail } from "./pairs.ts";
import { Figures } from "./totals.tsx";

type Position = Detail["positions"][number];

interface Row {
  security_id: string;
  here: Position | undefined;
  there: Position | undefined;
  change: Change | undefined;
}

export function Plans(props: {
  here: string;
  there: string;
  portfolioId: string;
  onClose: () => void;
}) {
  const { here, there, portfolioId, onClose } = props;
  useLayoutEffect(() => onKey("Escape", onClose));
  const plans = useResource(`plans ${here} ${there} ${portfolioId}`, (signal) =>
    Promise.all([readDetail(here, portfolioId, signal), readDetail(there, portfolioId, signal)]),
  );
  const name = usePortfolioNames([portfolioId])(portfolioId) ?? portfolioId;
  const planOf = (rebalance: string) =>
    `/rebalance/${rebalance}/portfolio/${encodeURIComponent(portfolioId)}`;
  return (
    <Section
      title={`Plans of ${name}`}
      aside={
        <>
          <Link href={planOf(there)}>the other plan</Link>
          <Link href={planOf(here)}>this plan</Link>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </>
      }
    >
      <Loaded of={plans}>
        {([ours, theirs]) =>
          ours && theirs ? (
            <Compared here={ours} there={theirs} />
          ) : (
            <Empty>
              {ours || theirs
                ? `The portfolio is in ${ours ? "this rebalance" : "the other rebalance"} alone.`
                : "The portfolio is in neither rebalance."}
            </Empty>
          )
        }
      </Loaded>
    </Section>
  );
}

function rowsOf(here: Detail, there: Detail): Row[] {
  const theirs = new Map(there.positions.map((each) => [each.security_id, each]));
  const ours = new Map(here.positions.map((each) => [each.security_id, each]));
  const rows = [...new Set([...ours.keys(), ...theirs.keys()])].map((security_id) => {
    const [one, other] = [ours.get(security_id), theirs.get(security_id)];
    return { security_id, here: one, there: other, change: changeOf(one, other) };
  });
  const place = ({ change }: Row) => (change ? CHANGES.indexOf(change) : CHANGES.length);
  return rows.sort((left, right) => place(left) - place(right));
}

function Compared({ here, there }: { here: Detail; there: Detail }) {
  const rows = rowsOf(here, there);
  const tickerOf = useTickers(rows.map(({ security_id }) => security_id));
  const figure = (term: string, of: (each: Detail) => string | null) => ({
    term,
    here: of(here),
    there: of(there),
  });
  const lines = [
    figure("market value", (each) => each.market_value),
    figure("turnover", (each) => each.turnover),
    { ...figure("trades", (each) => String(each.transactions)), isCount: true },
    figure("cash after", (each) => each.cash_after_rebalance),
    figure("objective", (each) => each.objective),
  ];
  const columns: Column<Row>[] = [
    securityColumn(tickerOf, "6rem"),
    {
      key: "change",
      head: "Order",
      width: "5rem",
      cell: ({ change }) => change && <span class={`status ${TONES[change]}`}>{change}</span>,
    },
    number("there", "Other", (row) => orderWords(row.there)),
    number("here", "This", (row) => orderWords(row.here)),
    number("shares", "Change, shares", (row) => difference(row, quantity)),
    number("amount", "Change, amount", (row) => difference(row, money, "trade_amount"), 8.5),
    number("held there", "Shares after, other", (row) => held(row.there), 9),
    number("held here", "this", (row) => held(row.here)),
    number("weight there", "After %, other", (row) => percent(row.there?.actual), 7.5),
    number("weight here", "this %", (row) => percent(row.here?.actual), 5),
  ];
  return (
    <>
      <Figures label="Figures of both plans" here="This" there="Other" lines={lines} />
      <p role="status">Orders: {changeWords(countChanges(here.positions, there.positions))}</p>
      <Grid
        label="Orders compared"
        columns={columns}
        total={rows.length}
        rowAt={(index) => rows[index]}
        keyOf={(row) => row.security_id}
      />
    </>
  );
}

const TONES: Record<Change, string> = {
  added: "blue",
  dropped: "red",
  changed: "amber",
  same: "grey",
};

const orderWords = (order: Position | undefined): string =>
  order?.transaction_type ? `${order.transaction_type} ${quantity(order.trade_quantity)}` : "–";

const held = (position: Position | undefined): string =>
  position ? quantity(position.adjusted_quantity) : count(null);

function difference(
  { here, there, change }: Row,
  form: (text: string) => string,
  field: "trade_quantity" | "trade_amount" = "trade_quantity",
): string {
  if (change === undefined || change === "same") return "";
  const more = subtract(signed(here, field), signed(there, field));
  return compare(more, "0") > 0 ? `+${form(more)}` : form(more);
}

const number = (key: string, head: string, cell: (row: Row) => string, rem = 7): Column<Row> => ({
  key,
  head,
  width: `${rem}rem`,
  isNumber: true,
  cell,
});
