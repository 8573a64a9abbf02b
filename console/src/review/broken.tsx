/** Plans that break rules: what the service refused to approve, and the way to hold them. */

import { Link } from "wouter-preact";
import type { ServiceError } from "../api.ts";
import { count } from "../format.ts";
import { usePortfolioNames } from "../names.ts";
import { ScopedButton, Section } from "../parts.tsx";

export interface BrokenRules {
  portfolios: { portfolio_id: string; rules: string[] }[];
  number_of_portfolios: number;
}

/** The facts of this refusal; undefined for another one. */
export const brokenRulesOf = ({ problem }: ServiceError): BrokenRules | undefined =>
  problem.type === "/problems/rules-broken" ? (problem as unknown as BrokenRules) : undefined;

export function Broken(props: {
  broken: BrokenRules;
  hrefOf: (portfolioId: string) => string;
  onHold: (ids: string[]) => void;
}) {
  const { portfolios, number_of_portfolios: all } = props.broken;
  const ids = portfolios.map(({ portfolio_id }) => portfolio_id);
  const nameOf = usePortfolioNames(ids);
  return (
    <Section
      title="Plans that break rules"
      note={all > ids.length ? `the first ${ids.length} of ${count(all)}` : count(all)}
      aside={
        <ScopedButton scope="approvals:decide" onClick={() => props.onHold(ids)}>
          Hold these
        </ScopedButton>
      }
    >
      <ul class="lines">
        {portfolios.map(({ portfolio_id: id, rules }) => (
          <li key={id}>
            <Link href={props.hrefOf(id)}>{nameOf(id) ?? id}</Link>: {rules.join(", ")}
          </li>
        ))}
      </ul>
    </Section>
  );
}
