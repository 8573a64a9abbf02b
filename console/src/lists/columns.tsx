/** Columns that several lists have. */

import { Link } from "wouter-preact";
import { Id } from "../parts.tsx";
import type { Column } from "./grid.tsx";

export type NameOf = (id: string) => string | undefined;

/** The ticker of a security, which copies its id. */
export const securityColumn = <Row extends { security_id: string }>(
  tickerOf: NameOf,
  width: string,
): Column<Row> => ({
  key: "security",
  head: "Security",
  width,
  cell: ({ security_id: id }) => <Id value={id} label={tickerOf(id) ?? id} />,
});

/** The name of a portfolio, which leads to `hrefOf`, or copies its id where nothing is to lead to. */
export const portfolioColumn = <Row extends { portfolio_id: string }>(
  nameOf: NameOf,
  width: string,
  hrefOf?: (id: string) => string,
): Column<Row> => ({
  key: "portfolio",
  head: "Portfolio",
  width,
  isFixed: true,
  cell: ({ portfolio_id: id }) =>
    hrefOf ? (
      <Link href={hrefOf(id)} title={id}>
        {nameOf(id) ?? id}
      </Link>
    ) : (
      <Id value={id} label={nameOf(id) ?? id} />
    ),
});
