/** Files of accounts, prices and targets: solved without being stored, and shown. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Empty, Page, ScopedButton, Skeleton } from "../parts.tsx";
import { useAction } from "../resource.ts";
import { Faults } from "../upload/faults.tsx";
import { Files } from "../upload/files.tsx";
import { Outcomes } from "../upload/outcomes.tsx";
import { bodyOf, downloadWorkbook, type Solved, solve } from "../upload/solving.ts";

// Kept while other pages are looked at; a browser forgets files when the page is loaded again.
const files = signal<readonly File[]>([]);
const options = signal("");
const solved = signal<Solved>();

function useSolving() {
  const { isBusy, error, run } = useAction();
  const control = useRef<AbortController>();
  useEffect(() => () => control.current?.abort(), []);
  const body = () => bodyOf(files.value, options.value);
  return {
    error,
    isBusy,
    cancel: () => control.current?.abort(),
    solve: () =>
      run(async () => {
        control.current = new AbortController();
        const { signal } = control.current;
        solved.value = undefined;
        try {
          solved.value = await solve(body(), signal);
        } catch (reason) {
          if (!signal.aborted) throw reason;
        }
      }),
    download: () => run(() => downloadWorkbook(body())),
  };
}

export function UploadPage() {
  const { error, isBusy, cancel, solve, download } = useSolving();
  const present = solved.value;
  return (
    <Page
      title="Upload"
      meta={<span class="muted">solved as they are; nothing is stored and no order is made</span>}
      actions={
        present &&
        !present.problem && (
          <button type="button" disabled={isBusy} onClick={() => void download()}>
            Download as workbook
          </button>
        )
      }
    >
      <Files
        files={files.value}
        onChange={(chosen) => {
          files.value = chosen;
          solved.value = undefined; // it belongs to other files
        }}
      />
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          void solve();
        }}
      >
        <label>
          Options as JSON
          <input
            size={36}
            placeholder='{"cash_floor": "2%"}'
            value={options.value}
            onInput={(event) => {
              options.value = event.currentTarget.value;
              solved.value = undefined;
            }}
          />
        </label>
        <ScopedButton
          scope="optimize:use"
          type="submit"
          class="main"
          disabled={!files.value.length || isBusy}
        >
          Solve
        </ScopedButton>
        {isBusy && (
          <button type="button" onClick={cancel}>
            Stop waiting
          </button>
        )}
      </form>
      {error && <Faults error={error} />}
      {isBusy && !present && <Skeleton lines={6} />}
      {present && <Outcomes solved={present} />}
      {!present && !error && !isBusy && (
        <Empty>
          Holdings, prices and a model as CSV, XLSX or Parquet: three files, one workbook, or one
          table that has everything. <a href="/docs#/rebalance/optimize">What the route reads</a>
        </Empty>
      )}
    </Page>
  );
}
