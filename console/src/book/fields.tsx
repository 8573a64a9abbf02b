/** What narrows the book: its states, a model, a portfolio; and the selection of all that match. */

import { useState } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { count } from "../format.ts";
import { type Filters, withFilters } from "../lists/filters.ts";
import { PortfolioIdField } from "../lists/listed.tsx";
import type { Scan } from "./scans.ts";
import { MAX_CHOSEN, type Selection } from "./selection.ts";

export const STATES = ["OUT_OF_BAND", "WITHIN_BANDS", "FAILED"] as const;

export function Tiles({ scan, status }: { scan: Scan; status: string }) {
  const search = useSearch();
  const [, navigate] = useLocation();
  return (
    <div class="tiles">
      {STATES.map((state) => {
        const number = scan.counts[state] ?? 0;
        const isCall = state !== "WITHIN_BANDS" && number > 0;
        const to = withFilters("/book", search, { status: state === status ? "" : state });
        return (
          <button
            key={state}
            type="button"
            class={isCall ? "tile calls" : "tile"}
            aria-pressed={state === status}
            onClick={() => navigate(to, { replace: true })}
          >
            <b>{count(number)}</b>
            <span>{state}</span>
          </button>
        );
      })}
    </div>
  );
}

export function FilterFields(props: {
  filters: Filters;
  names: ReadonlyMap<string, string>;
  onChange: (changes: Filters) => void;
}) {
  const { filters, names, onChange } = props;
  const model = filters["model_id"] ?? "";
  return (
    <>
      <label class="inline">
        Model
        <select
          value={model}
          onChange={(event) => onChange({ model_id: event.currentTarget.value })}
        >
          <option value="">all</option>
          {model && !names.has(model) && <option>{model}</option>}
          {[...names].map(([id, name]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <PortfolioIdField filters={filters} onChange={onChange} />
    </>
  );
}

export function Choose(props: {
  selection: Selection;
  total: number | undefined;
  onAll: (total: number) => Promise<void>;
}) {
  const { selection, total = 0 } = props;
  const [isBusy, setBusy] = useState(false);
  const addAll = async () => {
    setBusy(true);
    await props.onAll(total).finally(() => setBusy(false));
  };
  const isTooLong = total > MAX_CHOSEN;
  return (
    <>
      <button
        type="button"
        disabled={isBusy || total === 0 || isTooLong}
        title={isTooLong ? `a run takes at most ${count(MAX_CHOSEN)} of a selection` : undefined}
        onClick={() => void addAll()}
      >
        Select all {count(total)} that match
      </button>
      <button
        type="button"
        disabled={selection.chosen.size === 0}
        onClick={() => selection.clear()}
      >
        Select none
      </button>
    </>
  );
}
