/** Outcomes as one stacked bar, with counts in words that may filter. */

import { Link } from "wouter-preact";
import { count } from "../format.ts";
import { tone } from "../parts.tsx";
import { useWidth } from "./width.ts";

export const OUTCOMES = ["REBALANCED", "IN_BAND", "NO_TRADE", "INFEASIBLE", "FAILED"] as const;
const HEIGHT = 14;
const LEAST_PX = 2; // so that a few failures among 100,000 can be seen

export function Stacked(props: {
  counts: Record<string, number>;
  total: number | null;
  href?: (outcome: string) => string;
  isSmall?: boolean;
}) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const known = OUTCOMES.map((outcome) => [outcome, props.counts[outcome] ?? 0] as const).filter(
    ([, number]) => number > 0,
  );
  const done = known.reduce((sum, [, number]) => sum + number, 0);
  const total = Math.max(props.total ?? done, done, 1);
  const open = (props.total ?? done) - done;
  let at = 0;
  const bars = known.map(([outcome, number]) => {
    const bar = { outcome, x: at, width: Math.max(LEAST_PX, (number / total) * width) };
    at += bar.width;
    return bar;
  });
  const words = [...known.map(([outcome, number]) => `${count(number)} ${outcome}`)];
  if (open > 0) words.push(`${count(open)} open`);
  return (
    <div class={props.isSmall ? "stacked small" : "stacked"} ref={ref}>
      <svg
        role="img"
        aria-label={words.join(", ") || "no outcomes yet"}
        width="100%"
        height={props.isSmall ? 8 : HEIGHT}
      >
        <rect class="open" width="100%" height={HEIGHT} />
        {bars.map((bar) => (
          <rect
            key={bar.outcome}
            class={tone(bar.outcome)}
            x={bar.x}
            width={bar.width}
            height={HEIGHT}
          />
        ))}
      </svg>
      {!props.isSmall && (
        <ul class="legend">
          {[...known, ...(open > 0 ? [["open", open] as const] : [])].map(([word, number]) => (
            <li key={word}>
              <i class={word === "open" ? "open" : tone(word)} />
              {props.href && word !== "open" ? <Link href={props.href(word)}>{word}</Link> : word}{" "}
              <b>{count(number)}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
