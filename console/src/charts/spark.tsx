/** The last sixty values of a rate as a line. */

const WIDTH = 120;
const HEIGHT = 24;
export const SPARK_POINTS = 60;

export function Spark({ values, label }: { values: readonly number[]; label: string }) {
  if (values.length < 2) return null;
  const most = Math.max(...values, 1e-9);
  const step = WIDTH / (SPARK_POINTS - 1);
  const points = values
    .slice(-SPARK_POINTS)
    .map(
      (value, place) =>
        `${(place * step).toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`,
    );
  return (
    <svg class="spark" role="img" aria-label={label} width={WIDTH} height={HEIGHT}>
      <polyline points={points.join(" ")} />
    </svg>
  );
}
