/** Orders on their way to the order service: of all rebalances, and of one with what is still to send. */

import { Link, useLocation, useSearch } from "wouter-preact";
import { list, read, type Schema } from "../api.ts";
import { useQuestion } from "../confirm.tsx";
import { count, quantity } from "../format.ts";
import { ChosenGrid } from "../lists/column_menu.tsx";
import { portfolioColumn, securityColumn } from "../lists/columns.tsx";
import { readFilters, withFilters } from "../lists/filters.ts";
import type { Column } from "../lists/grid.tsx";
import { Listed } from "../lists/listed.tsx";
import { type PagedRows, usePages, useShown } from "../lists/pages.ts";
import { usePortfolioNames, useTickers } from "../names.ts";
import { Facts, Loaded, Page, Problem, ScopedButton, Section, Status, Time } from "../parts.tsx";
import { useAction, useResource } from "../resource.ts";
import { questionToSend } from "../review/sending.ts";

type Order = Schema<"OrderLine"> & { rebalance_id?: string };
const STATES = ["PENDING", "SENDING", "SENT", "FAILED", "UNKNOWN"];

function StateFilter({ value, onChange }: { value: string; onChange: (status: string) => void }) {
  return (
    <label class="inline">
      Status
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">all</option>
        {STATES.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
}

export function OrdersPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const { status = "" } = readFilters(search, ["status"]);
  const rows = usePages<Order>(`orders ${status}`, (offset, limit, signal) =>
    list("/api/v1/orders", { query: { status, offset, limit }, exact: ["quantity"], signal }),
  );
  return (
    <Page
      title="Orders"
      meta={<span class="muted">{count(rows.total)}, of all rebalances</span>}
      actions={
        <StateFilter
          value={status}
          onChange={(chosen) => navigate(withFilters("/orders", search, { status: chosen }))}
        />
      }
    >
      <OrderRows rows={rows} empty="No order. A rebalance sends its orders from its page." />
    </Page>
  );
}

export function RebalanceOrdersPage({ id }: { id: string }) {
  const handOver = useResource(`hand-over ${id}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/orders", {
      path: { rebalance_id: id },
      query: { limit: 1 },
      signal,
    }),
  );
  const rows = usePages<Order>(`orders of ${id}`, async (offset, limit, signal) => {
    const { orders, number_of_orders } = await read("/api/v1/rebalance/{rebalance_id}/orders", {
      path: { rebalance_id: id },
      query: { offset, limit },
      exact: ["quantity"],
      signal,
    });
    return { rows: orders, total: number_of_orders };
  });
  const [dialog, setQuestion] = useQuestion();
  const { error, run } = useAction();
  const onSent = () => {
    handOver.reload();
    rows.reload();
  };
  const ask = () => run(async () => setQuestion(await questionToSend(id, onSent)));
  return (
    <Page
      title="Orders of a rebalance"
      meta={
        <Link href={`/rebalance/${id}`} title={id}>
          its outcomes
        </Link>
      }
      actions={
        handOver.value?.number_of_transactions !== 0 && (
          <ScopedButton scope="orders:send" class="danger" onClick={() => void ask()}>
            Send orders
          </ScopedButton>
        )
      }
    >
      {error && <Problem error={error} />}
      <Loaded of={handOver} lines={2}>
        {(given) => (
          <Facts
            facts={[
              { term: "hand-over", value: <Status value={given.status} /> },
              { term: "transactions", value: count(given.number_of_transactions) },
              { term: "orders", value: count(given.number_of_orders) },
              ...Object.entries(given.counts).map(([state, number]) => ({
                term: state,
                value: count(number),
              })),
            ]}
          />
        )}
      </Loaded>
      <Section title="Orders">
        <OrderRows rows={rows} empty="No order has been made of these transactions." />
      </Section>
      {dialog}
    </Page>
  );
}

function OrderRows({ rows, empty }: { rows: PagedRows<Order>; empty: string }) {
  const { shown: orders, onWindow } = useShown(rows);
  const nameOf = usePortfolioNames(orders.map((row) => row.portfolio_id));
  const tickerOf = useTickers(orders.map((row) => row.security_id));
  const columns: Column<Order>[] = [
    portfolioColumn(nameOf, "minmax(8rem, 1fr)"),
    securityColumn(tickerOf, "6rem"),
    {
      key: "side",
      head: "Side",
      width: "4rem",
      cell: (row) => <Status value={row.transaction_type} />,
    },
    {
      key: "quantity",
      head: "Quantity",
      width: "7rem",
      isNumber: true,
      cell: (row) => quantity(String(row.quantity)),
    },
    {
      key: "status",
      head: "Status",
      width: "6.5rem",
      cell: (row) => <Status value={row.status} />,
    },
    {
      key: "order",
      head: "Order id",
      width: "6rem",
      isNumber: true,
      cell: (row) => row.order_id ?? "–",
    },
    {
      key: "at",
      head: "Sent",
      width: "11rem",
      cell: (row) => <Time value={row.order_timestamp} />,
    },
    {
      key: "message",
      head: "Message",
      width: "minmax(8rem, 2fr)",
      cell: (row) => <span title={row.message ?? ""}>{row.message}</span>,
    },
    {
      key: "rebalance",
      head: "Rebalance",
      width: "7rem",
      cell: (row) =>
        row.rebalance_id && <Link href={`/rebalance/${row.rebalance_id}/orders`}>its orders</Link>,
    },
  ];
  const shown = columns.filter(({ key }) => key !== "rebalance" || rows.rowAt(0)?.rebalance_id);
  return (
    <Listed rows={rows} empty={empty}>
      {() => (
        <ChosenGrid list="orders" label="Orders" columns={shown} rows={rows} onWindow={onWindow} />
      )}
    </Listed>
  );
}
