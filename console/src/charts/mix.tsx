/** Parts of a number as one bar, with their words and figures below. */

import { count } from "../format.ts";
import { tone } from "../parts.tsx";
import { useWidth } from "./width.ts";

const HEIGHT = 14;
const LEAST_PX = 2; // so that a few searches among 100,000 plans can be seen

export function Mix({ label, parts }: { label: string; parts: Record<string, number> }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const known = Object.entries(parts).filter(([, number]) => number > 0);
  const total = known.reduce((sum, [, number]) => sum + number, 0);
  let at = 0;
  const bars = known.map(([word, number]) => {
    const bar = { word, x: at, width: Math.max(LEAST_PX, (number / total) * width) };
    at += bar.width;
    return bar;
  });
  if (total === 0) return null;
  const words = known.map(([word, number]) => `${count(number)} ${word}`).join(", ");
  return (
    <div class="stacked" ref={box}>
      <svg role="img" aria-label={`${label}: ${words}`} width="100%" height={HEIGHT}>
        {bars.map((bar) => (
          <rect key={bar.word} class={tone(bar.word)} x={bar.x} width={bar.width} height={HEIGHT} />
        ))}
      </svg>
      <ul class="legend">
        {known.map(([word, number]) => (
          <li key={word}>
            <i class={tone(word)} />
            {word} <b>{count(number)}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}
