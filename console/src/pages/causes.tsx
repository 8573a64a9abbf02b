/** Why portfolios have no plan, each reason once. */

import { Link } from "wouter-preact";
import type { Schema } from "../api.ts";
import { count, fullPercent } from "../format.ts";
import { useTickers } from "../names.ts";
import { Empty, Id, Loaded, ScopedButton, Section } from "../parts.tsx";
import type { Resource } from "../resource.ts";

type Causes = Schema<"CausesAnswer">;
type Cause = Causes["causes"][number];
const SHOWN = 12;

const SHARES: Record<string, string> = { "0.5": "half", "0.9": "9 in 10", "1": "all" };

export function CausesSection(props: {
  causes: Resource<Causes>;
  hrefOf?: (cause: Cause) => string;
  onRetry?: (cause: Cause) => void;
}) {
  const { causes } = props;
  const value = causes.value;
  const note =
    value && `${count(value.examined)} portfolios${value.is_whole ? "" : " read, there are more"}`;
  return (
    <Section title="Without a plan, by cause" note={note}>
      <Loaded of={causes} lines={3}>
        {(given) =>
          given.causes.length ? (
            <CauseList causes={given.causes} hrefOf={props.hrefOf} onRetry={props.onRetry} />
          ) : (
            <Empty>Every portfolio has a plan.</Empty>
          )
        }
      </Loaded>
    </Section>
  );
}

function CauseList(props: {
  causes: Cause[];
  hrefOf: ((cause: Cause) => string) | undefined;
  onRetry: ((cause: Cause) => void) | undefined;
}) {
  const { onRetry } = props;
  const shown = props.causes.slice(0, SHOWN);
  const left = props.causes.length - shown.length;
  const securities = shown
    .filter(({ kind }) => kind === "security")
    .map(({ subject }) => subject ?? "");
  const tickerOf = useTickers(securities);
  return (
    <ul class="causes">
      {shown.map((cause) => (
        <li key={`${cause.type} ${cause.subject}`}>
          <b class="number">{count(cause.portfolios)}</b>
          <span>
            {props.hrefOf ? <Link href={props.hrefOf(cause)}>{cause.title}</Link> : cause.title}
            {cause.subject && (
              <>
                {": "}
                {cause.kind === "security" ? (
                  <Id value={cause.subject} label={tickerOf(cause.subject) ?? cause.subject} />
                ) : (
                  <code>{cause.subject}</code>
                )}
              </>
            )}
          </span>
          <span class="muted">
            {cause.bands.length > 0 &&
              `a band that admits ${cause.bands.map(bandWords).join(", ")}`}
          </span>
          {onRetry && isFirstOfItsCode(shown, cause) && (
            <ScopedButton scope="rebalances:start" onClick={() => onRetry(cause)}>
              Retry all of this kind
            </ScopedButton>
          )}
        </li>
      ))}
      {left > 0 && (
        <li>
          <span class="muted">and {count(left)} rarer causes</span>
        </li>
      )}
    </ul>
  );
}

function bandWords(band: Cause["bands"][number]): string {
  const share = SHARES[band.share] ?? band.share;
  return `${share}: −${fullPercent(band.low_drift)} +${fullPercent(band.high_drift)} pp`;
}

/** A retry takes all portfolios of a kind, so its button stands once beside each kind. */
const isFirstOfItsCode = (causes: readonly Cause[], cause: Cause): boolean =>
  causes.find(({ type }) => type === cause.type) === cause;
