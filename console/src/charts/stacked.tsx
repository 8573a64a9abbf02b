/** Parts of a number as one stacked bar, with their words and figures, which may filter. */

import { Link } from "wouter-preact";
import { count } from "../format.ts";
import { tone } from "../parts.tsx";
import { useWidth } from "./width.ts";

export const OUTCOMES = ["REBALANCED", "IN_BAND", "NO_TRADE", "INFEASIBLE", "FAILED"] as const;
const HEIGHT = 14;
const LEAST_PX = 2; // so that a few failures among 100,000 can be seen
const OPEN = "open";
const lookOf = (word: string) => (word === OPEN ? OPEN : tone(word));

/** Outcomes, and how many portfolios have none yet. */
export function Stacked(props: {
  counts: Record<string, number>;
  total: number | null;
  href?: (outcome: string) => string;
  isSmall?: boolean;
}) {
  const { counts, total } = props;
  const known = OUTCOMES.map((outcome) => [outcome, counts[outcome] ?? 0] as const);
  const done = known.reduce((sum, [, number]) => sum + number, 0);
  return <Bar {...props} parts={[...known, [OPEN, (total ?? done) - done]]} />;
}

export function Bar(props: {
  label?: string;
  parts: readonly (readonly [word: string, number: number])[];
  href?: (word: string) => string;
  isSmall?: boolean;
}) {
  const { label, href, isSmall } = props;
  const [ref, width] = useWidth<HTMLDivElement>();
  const known = props.parts.filter(([, number]) => number > 0);
  const total = known.reduce((sum, [, number]) => sum + number, 0);
  const words = known.map(([word, number]) => `${count(number)} ${word}`).join(", ");
  const height = isSmall ? 8 : HEIGHT;
  let at = 0;
  return (
    <div class={isSmall ? "stacked small" : "stacked"} ref={ref}>
      <svg
        role="img"
        aria-label={`${label ? `${label}: ` : ""}${words || "no outcomes yet"}`}
        width="100%"
        height={height}
      >
        {!label && <rect class={OPEN} width="100%" height={HEIGHT} />}
        {known.map(([word, number]) => {
          if (word === OPEN) return null; // the ground shows it
          const x = at;
          const px = Math.max(LEAST_PX, (number / total) * width);
          at += px;
          return <rect key={word} class={tone(word)} x={x} width={px} height={HEIGHT} />;
        })}
      </svg>
      {!isSmall && (
        <ul class="legend">
          {known.map(([word, number]) => (
            <li key={word}>
              <i class={lookOf(word)} />
              {href && word !== OPEN ? <Link href={href(word)}>{word}</Link> : word}{" "}
              <b>{count(number)}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
