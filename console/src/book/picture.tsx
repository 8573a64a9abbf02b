/** The drift of the book as a histogram, a range of which filters the portfolios. */

import { read } from "../api.ts";
import { Histogram } from "../charts/histogram.tsx";
import { count, fullPercent, percent } from "../format.ts";
import type { Filters } from "../lists/filters.ts";
import { Empty, Loaded, Section } from "../parts.tsx";
import { useResource } from "../resource.ts";
import type { Scan } from "./scans.ts";

/** The histogram under every filter but its own. */
export function DriftPicture(props: {
  scan: Scan;
  filters: Filters;
  onBrush: (changes: Filters) => void;
}) {
  const { min_drift = "", max_drift = "", ...others } = props.filters;
  const key = `histogram ${props.scan.scan_id} ${JSON.stringify(others)}`;
  const histogram = useResource(key, (signal) =>
    read("/api/v1/drift-scans/{scan_id}/histogram", {
      path: { scan_id: props.scan.scan_id },
      query: others,
      signal,
    }),
  );
  return (
    <Section
      title="Drift across the book"
      note="percent of market value; a range is chosen by dragging"
      aside={
        (min_drift || max_drift) && (
          <button type="button" onClick={() => props.onBrush({ min_drift: "", max_drift: "" })}>
            {fullPercent(min_drift || "0")} % to{" "}
            {max_drift ? `${fullPercent(max_drift)} %` : "no end"} ✕
          </button>
        )
      }
    >
      <Loaded of={histogram} lines={4}>
        {({ bins, median, p95, largest, portfolios }) =>
          bins.length === 0 ? (
            <Empty>No portfolio that was measured matches.</Empty>
          ) : (
            <>
              <p class="muted">
                median {percent(median)} %, 95 % at most {percent(p95)} %, largest{" "}
                {percent(largest)} %
              </p>
              <Histogram
                bins={bins}
                from={min_drift}
                to={max_drift}
                label={`Total drift of ${count(portfolios)} portfolios: median ${percent(median)} %, 95 % have at most ${percent(p95)} %`}
                onBrush={(from, to) => props.onBrush({ min_drift: from, max_drift: to })}
              />
            </>
          )
        }
      </Loaded>
    </Section>
  );
}
