/** Small parts that every page is made of. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ServiceError } from "./api.ts";
import { moment, shortId } from "./format.ts";
import type { Resource } from "./resource.ts";
import { whyNot } from "./session.ts";

const TONES: Record<string, string> = {
  REBALANCED: "blue",
  IN_BAND: "green",
  NO_TRADE: "grey",
  INFEASIBLE: "amber",
  FAILED: "red",
  SEPARABLE: "blue",
  COVER: "green",
  MILP: "amber",
  OPTIMAL: "green",
  OPTIMAL_WITHIN_GAP: "blue",
  FIXED_POINT_CYCLE: "amber",
  FEASIBLE_TIME_LIMIT: "red",
  COMPLETED: "green",
  RUNNING: "blue",
  QUEUED: "grey",
  CANCELLING: "amber",
  CANCELLED: "grey",
  DISCARDING: "amber",
  STOPPED: "red",
  WITHIN_BANDS: "green",
  OUT_OF_BAND: "amber",
  BUY: "blue",
  SELL: "amber",
  healthy: "green",
  failing: "red",
  unknown: "amber",
  PENDING: "grey",
  SENDING: "blue",
  SENT: "green",
  UNKNOWN: "amber",
  COMPLETE: "green",
  PARTIAL: "amber",
  NOT_SENT: "grey",
  PROPOSED: "blue",
  APPROVED: "green",
  ORDERED: "green",
  REJECTED: "red",
  WITHDRAWN: "grey",
  STALE: "amber",
  HELD: "amber",
  PASS: "green",
  WARN: "amber",
  BLOCK: "red",
  closed: "green",
  open: "red",
  half_open: "amber",
  ready: "green",
  degraded: "amber",
  unhealthy: "red",
};

export const tone = (word: string): string => TONES[word] ?? "grey";

/** A word of the service with its colour; the word is never translated. */
export function Status({ value }: { value: string }) {
  return <span class={`status ${tone(value)}`}>{value}</span>;
}

export function Page(props: {
  title: string;
  name?: ComponentChildren;
  meta?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${props.title} · Order Generation`;
  }, [props.title]);
  return (
    <main id="main" tabIndex={-1}>
      <header class="head">
        <h1>{props.name ?? props.title}</h1>
        {props.meta}
        <div class="actions">{props.actions}</div>
      </header>
      {props.children}
    </main>
  );
}

export function Section(props: {
  title: string;
  note?: ComponentChildren;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section>
      <div class="section-head">
        <h2>{props.title}</h2>
        {props.note !== undefined && <span class="muted">{props.note}</span>}
        {props.aside !== undefined && <div class="actions">{props.aside}</div>}
      </div>
      {props.children}
    </section>
  );
}

export interface Fact {
  term: string;
  value: ComponentChildren;
  note?: ComponentChildren;
  title?: string | undefined;
}

export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl class="facts">
      {facts.map(({ term, value, note, title }) => (
        <div key={term} title={title}>
          <dt>{term}</dt>
          <dd>
            {value}
            {note !== undefined && <small> {note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** An id in short; the whole id on hover, and on the clipboard by a click. */
export function Id({ value, label }: { value: string; label?: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    // A browser has no clipboard for pages that come by plain HTTP from another machine.
    await navigator.clipboard?.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="id" title={`${value}: copy`} onClick={() => void copy()}>
      {isCopied ? "copied" : (label ?? shortId(value))}
    </button>
  );
}

export function Time({ value }: { value: string | null | undefined }) {
  return value ? <time dateTime={value}>{moment(value)}</time> : <span>–</span>;
}

/** A button that needs a permission: off, with the reason, for whoever does not have it. */
export function ScopedButton({
  scope,
  disabled,
  title,
  ...rest
}: Omit<JSX.IntrinsicElements["button"], "disabled" | "title"> & {
  scope: string;
  disabled?: boolean;
  title?: string;
}) {
  const reason = whyNot(scope);
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || reason !== undefined}
      title={reason ?? title}
    />
  );
}

function useCountdown(seconds: number | null, act: () => void): number | null {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    if (left === null) return;
    if (left <= 0) {
      act();
      setLeft(null);
      return;
    }
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return left;
}

/** What went wrong, what to do about it, and the button that tries again. */
export function Problem({ error, retry }: { error: ServiceError; retry?: () => void }) {
  const left = useCountdown(retry ? error.retryAfterS : null, () => retry?.());
  const { title, detail, type, correlation_id: correlation } = error.problem;
  return (
    <div class="problem" role="alert">
      <strong>{title ?? `Answer ${error.status}`}</strong>
      {detail && <p>{detail}</p>}
      <p class="actions">
        {retry && (
          <button type="button" onClick={retry}>
            {left === null ? "Try again" : `Try again (in ${left} s)`}
          </button>
        )}
        {type?.startsWith("/problems/") && <a href={type}>What to do</a>}
        {correlation && (
          <span class="muted">
            correlation id <Id value={correlation} label={correlation} />
          </span>
        )}
      </p>
    </div>
  );
}

/** A resource by its state: a skeleton, the value (dimmed while it is old), or the problem. */
export function Loaded<Value>(props: {
  of: Resource<Value>;
  lines?: number;
  children: (value: Value) => ComponentChildren;
}) {
  const { value, error, isLoading, readAt, reload } = props.of;
  return (
    <>
      {error && <Problem error={error} retry={reload} />}
      {value === undefined && !error && <Skeleton lines={props.lines ?? 6} />}
      {value !== undefined && (
        <div class={isLoading || error ? "stack old" : "stack"} aria-busy={isLoading}>
          {error && readAt && (
            <p class="muted">as of {moment(readAt.toISOString())}, not read again since</p>
          )}
          {props.children(value)}
        </div>
      )}
    </>
  );
}

export function Skeleton({ lines }: { lines: number }) {
  return (
    <div class="skeleton" role="status" aria-label="loading">
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} />
      ))}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}
