/** Weights against their bands: before, after and target of a security on one shared scale. */

export interface Mark {
  low: number; // edges, target and weights as parts of the base
  high: number;
  target: number;
  before: number;
  after?: number | undefined; // none without a plan
  nearest?: number | undefined;
  wasOutside: boolean;
}

export interface Scale {
  from: number;
  to: number;
  ticks: readonly number[];
}

const HEIGHT = 28;
const MIDDLE = HEIGHT / 2;
const BAND_PX = 12;
const DOT_PX = 4;
const PAD_PX = 8;
const STEPS = [1, 2, 2.5, 5, 10];
const LEAST_SPAN = 0.001; // a tenth of a percentage point

/** Weights from nothing, or distances from the target, of all marks. */
export function scaleOf(marks: readonly Mark[], isDistance: boolean): Scale {
  const shown = isDistance ? marks.map(centre) : marks;
  const values = shown.flatMap((mark) => [
    mark.low,
    mark.high,
    mark.before,
    mark.after ?? mark.before,
    mark.nearest ?? mark.before,
  ]);
  const most = Math.max(LEAST_SPAN, ...values);
  const least = isDistance ? Math.min(-LEAST_SPAN, ...values) : 0;
  const step = stepOf((most - least) / 6);
  const from = isDistance ? Math.floor(least / step) * step : 0;
  const to = Math.ceil(most / step) * step;
  const ticks = Array.from(
    { length: Math.round((to - from) / step) + 1 },
    (_, each) => from + each * step,
  );
  return { from, to, ticks };
}

function stepOf(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return (STEPS.find((step) => step * power >= rough) ?? 10) * power;
}

export function centre(mark: Mark): Mark {
  const { target } = mark;
  const off = (weight: number | undefined) => (weight === undefined ? undefined : weight - target);
  return {
    ...mark,
    low: mark.low - target,
    high: mark.high - target,
    before: mark.before - target,
    after: off(mark.after),
    nearest: off(mark.nearest),
    target: 0,
  };
}

const placeOf = (scale: Scale, width: number) => (value: number) =>
  PAD_PX + ((value - scale.from) / (scale.to - scale.from)) * (width - 2 * PAD_PX);

/** One row of the picture; the table beside it has the figures, so it is silent. */
export function BandRow({ mark, scale, width }: { mark: Mark; scale: Scale; width: number }) {
  if (width <= 2 * PAD_PX) return null;
  const x = placeOf(scale, width);
  const left = x(mark.low);
  return (
    <svg class="bands" aria-hidden="true" width={width} height={HEIGHT}>
      {scale.ticks.map((tick) => (
        <line key={tick} class="tick" x1={x(tick)} x2={x(tick)} y2={HEIGHT} />
      ))}
      <rect
        class={mark.wasOutside ? "band out" : "band"}
        x={left}
        width={Math.max(2, x(mark.high) - left)}
        y={MIDDLE - BAND_PX / 2}
        height={BAND_PX}
        rx="2"
      />
      <line
        class="target"
        x1={x(mark.target)}
        x2={x(mark.target)}
        y1={MIDDLE - 8}
        y2={MIDDLE + 8}
      />
      <line
        class="way"
        x1={x(mark.before)}
        x2={x(mark.after ?? mark.nearest ?? mark.before)}
        y1={MIDDLE}
        y2={MIDDLE}
      />
      {mark.nearest !== undefined && (
        <circle class="nearest" cx={x(mark.nearest)} cy={MIDDLE} r={DOT_PX} />
      )}
      <circle class="before" cx={x(mark.before)} cy={MIDDLE} r={DOT_PX} />
      {mark.after !== undefined && (
        <circle class="after" cx={x(mark.after)} cy={MIDDLE} r={DOT_PX - 0.5} />
      )}
    </svg>
  );
}

const MIN_LABEL_PX = 46;

export function BandAxis(props: { scale: Scale; width: number; isDistance: boolean }) {
  const { scale, width, isDistance } = props;
  if (width <= 2 * PAD_PX) return null;
  const x = placeOf(scale, width);
  const each = Math.max(1, Math.ceil((scale.ticks.length * MIN_LABEL_PX) / width));
  const label = (tick: number) => {
    const text = String(Number((tick * 100).toFixed(3))).replace("-", "−");
    return isDistance ? `${tick > 0 ? "+" : ""}${text}` : `${text} %`;
  };
  return (
    <svg class="bands axis" aria-hidden="true" width={width} height="20">
      {scale.ticks.map(
        (tick, place) =>
          place % each === 0 && (
            <text key={tick} x={x(tick)} y="14" text-anchor={anchorOf(x(tick), width)}>
              {label(tick)}
            </text>
          ),
      )}
    </svg>
  );
}

function anchorOf(x: number, width: number): string {
  if (x < 24) return "start";
  return x > width - 24 ? "end" : "middle";
}
