/** The grid of a model's targets: checked while typing, saved with the version it was read at. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Schema, ServiceError, write } from "../api.ts";
import { add, compare, plain } from "../exact.ts";
import { onKey } from "../keys.ts";
import { useTickers } from "../names.ts";
import { holdUnsaved } from "../navigation.ts";
import { Id, Problem, ScopedButton, Section } from "../parts.tsx";
import { useAction } from "../resource.ts";
import { whyNot } from "../session.ts";
import { type Change, changesOf, FIELDS, parsePasted, replay } from "./changes.ts";
import { Conflict } from "./conflict.tsx";
import { EDIT } from "./edit_key.ts";
import { check, type Finding, type Row, type Rules, ratioOf, sumOf, toPercent } from "./rules.ts";
import { WhatIf } from "./what_if.tsx";

/** Whether somebody else has saved the model since it was read. */
const isStale = (reason: unknown): boolean =>
  reason instanceof ServiceError && (reason.status === 409 || reason.status === 412);

export type Model = Schema<"ModelAnswer">;
const HEADS = { target: "Target", low_drift: "Low drift", high_drift: "High drift" };
const STEP = "0.005";

export const rowsOf = (model: Model): Row[] =>
  model.positions.map(({ security_id, target, low_drift, high_drift }) => ({
    security_id,
    target,
    low_drift,
    high_drift,
  }));

const plainRow = (row: Row): Row => ({
  security_id: row.security_id,
  target: plain(row.target),
  low_drift: plain(row.low_drift),
  high_drift: plain(row.high_drift),
});

/** Bands that another page proposes: ?band=id:low:high, once for each security. */
export function withProposals(rows: readonly Row[], search: string): Row[] {
  const bands = new Map(
    new URLSearchParams(search).getAll("band").map((text) => {
      const [id = "", low = "", high = ""] = text.split(":");
      return [id, { low_drift: low, high_drift: high }];
    }),
  );
  return rows.map((row) => ({ ...row, ...bands.get(row.security_id) }));
}

export function Editor(props: {
  model: Model;
  rules: Rules;
  search: string;
  readNewest: () => Promise<Model>;
  onSaved: (model: Model) => void;
}) {
  const { model, rules } = props;
  const [base, setBase] = useState(model);
  const [typed, setRows] = useState(() => withProposals(rowsOf(model), props.search));
  const rows = typed.map(plainRow);
  const [theirs, setTheirs] = useState<Model>();
  const { isBusy, error, run, forget } = useAction();
  const findings = check(rows, rules);
  const changes = changesOf(rowsOf(base), rows);
  const tickerOf = useTickers(rows.map(({ security_id }) => security_id));
  const reset = (to: Model, edited = rowsOf(to)) => {
    setBase(to);
    setRows(edited);
    setTheirs(undefined);
    forget();
  };
  const save = () =>
    run(async () => {
      try {
        const saved = await put(base, rows);
        reset(saved);
        props.onSaved(saved);
      } catch (reason) {
        if (isStale(reason)) setTheirs(await props.readNewest());
        throw reason;
      }
    });
  useLayoutEffect(() => (changes.length ? holdUnsaved() : undefined), [changes.length > 0]);
  return (
    <>
      <SumBar rows={rows} rules={rules} findings={findings} />
      <EditGrid rows={typed} findings={findings} tickerOf={tickerOf} onChange={setRows} />
      {theirs && (
        <Conflict
          was={rowsOf(base)}
          mine={rows}
          theirs={theirs}
          tickerOf={tickerOf}
          onTake={() => reset(theirs)}
          onKeep={() => reset(theirs, replay(rowsOf(theirs), rowsOf(base), rows))}
        />
      )}
      {error && !theirs && <Problem error={error} />}
      <Changes changes={changes} tickerOf={tickerOf} />
      {changes.length > 0 && (
        <WhatIf
          modelId={base.model_id}
          positions={positionsOf(base, rows)}
          isReady={findings.length === 0}
        />
      )}
      <div class="actions">
        <ScopedButton
          scope="models:write"
          class="main"
          disabled={isBusy || !changes.length || findings.length > 0 || theirs !== undefined}
          onClick={() => void save()}
        >
          Save as version {base.version + 1}
        </ScopedButton>
        <button type="button" disabled={!changes.length} onClick={() => reset(base)}>
          Discard
        </button>
        <span class="muted" role="status">
          {whyNot("models:write") ?? reasonNotToSave(changes, findings)}
        </span>
      </div>
    </>
  );
}

const positionsOf = (model: Model, rows: readonly Row[]) => {
  const given = new Map(model.positions.map((each) => [each.security_id, each]));
  return rows.map((row) => ({ ...given.get(row.security_id), ...row }));
};

/** Replace the positions; everything else of the model stays as it was read. */
const put = (model: Model, rows: readonly Row[]): Promise<Model> =>
  write<Model>("PUT", "/api/v1/model/{model_id}", {
    path: { model_id: model.model_id },
    headers: { "If-Match": `"${model.version}"` },
    body: {
      version: model.version,
      name: model.name,
      portfolios: model.portfolios,
      positions: positionsOf(model, rows),
      rebalance_options: model.rebalance_options ?? null,
    },
  });

function reasonNotToSave(changes: readonly Change[], findings: readonly Finding[]): string {
  const [first] = findings;
  if (first)
    return first.row < 0 ? first.text : `row ${first.row + 1}, ${first.field}: ${first.text}`;
  return changes.length ? "" : "nothing is changed";
}

function SumBar(props: { rows: readonly Row[]; rules: Rules; findings: readonly Finding[] }) {
  const { rows, rules, findings } = props;
  const most = toPercent(ratioOf(rules.highestSum));
  const isKnown = !findings.some(({ field }) => field === "target");
  const sum = isKnown ? toPercent(sumOf(rows)) : Number.NaN;
  const isOver = sum > most;
  const text = isKnown
    ? `targets ${sum} % of at most ${most} %, cash ${Number((100 - sum).toFixed(4))} %`
    : "a target is not readable";
  return (
    <div class="sum">
      <svg role="img" aria-label={text} width="100%" height="10">
        <rect class="open" width="100%" height="10" />
        <rect
          class={isOver ? "red" : "blue"}
          width={`${isKnown ? Math.min(100, sum) : 0}%`}
          height="10"
        />
        <line class="target" x1={`${most}%`} x2={`${most}%`} y2="10" />
      </svg>
      <p class={isOver ? "red" : "muted"}>{text}</p>
    </div>
  );
}

function EditGrid(props: {
  rows: readonly Row[];
  findings: readonly Finding[];
  tickerOf: (id: string) => string | undefined;
  onChange: (rows: Row[]) => void;
}) {
  const { rows, findings, tickerOf, onChange } = props;
  const table = useRef<HTMLTableElement>(null);
  const [adding, setAdding] = useState("");
  useLayoutEffect(() => {
    const edit = () => focusCell(table.current, 0, 0);
    if (history.state === EDIT) edit();
    return onKey("e", edit);
  }, []);
  const set = (place: number, field: keyof Row, value: string) =>
    onChange(rows.map((row, each) => (each === place ? { ...row, [field]: value } : row)));
  const hear = (event: KeyboardEvent, place: number, column: number) => {
    const field = FIELDS[column];
    const row = rows[place];
    const to = { ArrowUp: place - 1, ArrowDown: place + 1, Enter: place + 1 }[event.key];
    if (to !== undefined) focusCell(table.current, to, column);
    else if ((event.key === "+" || event.key === "-") && field && row) {
      set(place, field, stepped(row[field], event.key));
    } else return;
    event.preventDefault();
  };
  const paste = (event: ClipboardEvent) => {
    const pasted = parsePasted(event.clipboardData?.getData("text") ?? "");
    if (!pasted.length) return;
    event.preventDefault();
    const given = new Map(pasted.map((row) => [row.security_id, row]));
    const known = new Set(rows.map(({ security_id }) => security_id));
    onChange([
      ...rows.map((row) => given.get(row.security_id) ?? row),
      ...pasted.filter(({ security_id }) => !known.has(security_id)),
    ]);
  };
  return (
    <div class="sheet" onPaste={paste}>
      <table ref={table} aria-label="Targets">
        <thead>
          <tr>
            <th scope="col">Security</th>
            {FIELDS.map((field) => (
              <th key={field} scope="col" class="number">
                {HEADS[field]}
              </th>
            ))}
            <th scope="col">
              <span class="unseen">Take out</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={row.security_id}>
              <th scope="row">
                <Id value={row.security_id} label={tickerOf(row.security_id) ?? row.security_id} />
              </th>
              {FIELDS.map((field, column) => {
                const wrong = findings.find((each) => each.row === place && each.field === field);
                return (
                  <td key={field}>
                    <input
                      class="number"
                      inputMode="decimal"
                      aria-label={`${HEADS[field]} of ${tickerOf(row.security_id) ?? row.security_id}`}
                      aria-invalid={wrong !== undefined}
                      title={wrong?.text}
                      value={row[field]}
                      onInput={(event) => set(place, field, event.currentTarget.value.trim())}
                      onKeyDown={(event) => hear(event, place, column)}
                    />
                  </td>
                );
              })}
              <td>
                <button
                  type="button"
                  aria-label={`Take out ${tickerOf(row.security_id) ?? row.security_id}`}
                  onClick={() => onChange(rows.filter((_, each) => each !== place))}
                >
                  ✕
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          onChange([
            ...rows,
            { security_id: adding, target: "0", low_drift: "0", high_drift: "0" },
          ]);
          setAdding("");
        }}
      >
        <label>
          Another security, by id
          <input value={adding} onInput={(event) => setAdding(event.currentTarget.value.trim())} />
        </label>
        <button type="submit" disabled={!adding}>
          Add
        </button>
        <span class="muted">or paste rows of a spreadsheet: id, target, low drift, high drift</span>
      </form>
    </div>
  );
}

function focusCell(table: HTMLTableElement | null, place: number, column: number): void {
  const input = table?.tBodies[0]?.rows[place]?.querySelectorAll("input")[column];
  input?.focus();
  input?.select();
}

/** A step up or down, never below nothing; a text that is no decimal stays. */
function stepped(text: string, key: "+" | "-"): string {
  if (!/^\d+(\.\d+)?$/.test(text)) return text;
  const next = add(text, key === "+" ? STEP : `-${STEP}`);
  return compare(next, "0") < 0 ? "0" : next;
}

export function Changes(props: {
  changes: readonly Change[];
  tickerOf: (id: string) => string | undefined;
}) {
  if (!props.changes.length) return null;
  return (
    <Section title="Changes" note={String(props.changes.length)}>
      <ul class="lines changes">
        {props.changes.map(({ security_id, field, was, now }) => (
          <li key={`${security_id} ${field}`}>
            <b>{props.tickerOf(security_id) ?? security_id}</b> {field}{" "}
            <del>{was ?? "not in the model"}</del> to <ins>{now ?? "taken out"}</ins>
          </li>
        ))}
      </ul>
    </Section>
  );
}
