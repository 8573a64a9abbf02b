/** Portfolios by their drift as bars, of which a range is chosen by dragging or by two sliders. */

import { useRef, useState } from "preact/hooks";
import { count, fullPercent } from "../format.ts";
import { type Bin, limitsOf, type Range, rangeOf } from "./brush.ts";
import { useWidth } from "./width.ts";

const HEIGHT = 120;
const TOP_PX = 16; // of the figure above the highest bar
const LABEL_PX = 52;
const LEAST_PX = 2; // so that one portfolio beside 100,000 can be seen

const edgeWords = (edge: string | null | undefined) => (edge ? `${fullPercent(edge)} %` : "no end");

export function Histogram(props: {
  bins: readonly Bin[];
  from: string;
  to: string;
  label: string;
  onBrush: (from: string, to: string) => void;
}) {
  const { bins, label } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const [dragged, setDragged] = useState<Range>();
  const begun = useRef(0);
  const [first, end] = dragged ?? rangeOf(bins, props.from, props.to);
  const step = width / Math.max(1, bins.length);
  const binAt = (event: PointerEvent) => {
    const left = (event.currentTarget as SVGElement).getBoundingClientRect().left;
    return Math.max(0, Math.min(bins.length - 1, Math.floor((event.clientX - left) / step)));
  };
  const between = (one: number, other: number): Range => [
    Math.min(one, other),
    Math.max(one, other) + 1,
  ];
  const choose = (range: Range) => {
    setDragged(undefined);
    props.onBrush(...limitsOf(bins, range));
  };
  return (
    <div class="histogram" ref={box}>
      <svg
        role="img"
        aria-label={label}
        width="100%"
        height={HEIGHT}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          begun.current = binAt(event);
          setDragged(between(begun.current, begun.current));
        }}
        onPointerMove={(event) => dragged && setDragged(between(begun.current, binAt(event)))}
        onPointerUp={(event) => dragged && choose(between(begun.current, binAt(event)))}
        onPointerCancel={() => setDragged(undefined)}
      >
        <Bars bins={bins} step={step} first={first} end={end} />
      </svg>
      <Axis bins={bins} step={step} width={width} />
      <div class="actions">
        <Slider
          label="Drift from"
          words={edgeWords(bins[first]?.lower)}
          value={first}
          most={bins.length - 1}
          onSlide={(value) => setDragged([value, Math.max(end, value + 1)])}
          onChoose={(value) => choose([value, Math.max(end, value + 1)])}
        />
        <Slider
          label="below"
          words={edgeWords(bins[end - 1]?.upper)}
          value={end - 1}
          most={bins.length - 1}
          onSlide={(value) => setDragged([Math.min(first, value), value + 1])}
          onChoose={(value) => choose([Math.min(first, value), value + 1])}
        />
      </div>
    </div>
  );
}

function Bars(props: { bins: readonly Bin[]; step: number; first: number; end: number }) {
  const { bins, step, first, end } = props;
  const most = Math.max(1, ...bins.map((bin) => bin.portfolios));
  const tall = (number: number) =>
    number ? Math.max(LEAST_PX, (number / most) * (HEIGHT - TOP_PX)) : 0;
  const highest = bins.findIndex((bin) => bin.portfolios === most);
  return (
    <>
      <rect
        class="brush"
        x={first * step}
        width={Math.max(0, end - first) * step}
        height={HEIGHT}
      />
      {bins.map((bin, place) => {
        const whole = tall(bin.portfolios);
        const outside = tall(bin.out_of_band);
        const look = place >= first && place < end ? "" : " off";
        const bar = { x: place * step + 0.5, width: Math.max(1, step - 1) };
        return (
          <g key={bin.lower}>
            <rect class={`green${look}`} {...bar} y={HEIGHT - whole} height={whole - outside} />
            <rect class={`amber${look}`} {...bar} y={HEIGHT - outside} height={outside} />
          </g>
        );
      })}
      {highest >= 0 && (
        <text
          x={(highest + 0.5) * step}
          y={TOP_PX - 5}
          text-anchor={highest < 2 ? "start" : highest > bins.length - 3 ? "end" : "middle"}
        >
          {count(most)}
        </text>
      )}
    </>
  );
}

function Axis({ bins, step, width }: { bins: readonly Bin[]; step: number; width: number }) {
  const each = Math.max(1, Math.ceil(LABEL_PX / Math.max(1, step)));
  return (
    <svg class="axis" aria-hidden="true" width="100%" height="18">
      {bins.map(
        (bin, place) =>
          place % each === 0 &&
          place * step < width - LABEL_PX / 2 && (
            <text
              key={bin.lower}
              x={place * step}
              y="13"
              text-anchor={place === 0 ? "start" : "middle"}
            >
              {fullPercent(bin.lower)} %
            </text>
          ),
      )}
    </svg>
  );
}

function Slider(props: {
  label: string;
  words: string;
  value: number;
  most: number;
  onSlide: (value: number) => void;
  onChoose: (value: number) => void;
}) {
  return (
    <label class="inline">
      {props.label}
      <input
        type="range"
        min={0}
        max={props.most}
        value={props.value}
        aria-valuetext={props.words}
        onInput={(event) => props.onSlide(Number(event.currentTarget.value))}
        onChange={(event) => props.onChoose(Number(event.currentTarget.value))}
      />
      <output>{props.words}</output>
    </label>
  );
}
