/** The files to solve: dropped anywhere on the page, or chosen; each may be taken away again. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { count } from "../format.ts";

export const MAX_FILES = 20;
const KINDS = ".csv,.tsv,.txt,.xlsx,.xlsm,.parquet,.json";

/** A file of the same name is a newer version of it. */
export function withFiles(present: readonly File[], added: readonly File[]): File[] {
  const names = new Set(added.map((file) => file.name));
  return [...present.filter((file) => !names.has(file.name)), ...added].slice(0, MAX_FILES);
}

export const sizeOf = (bytes: number): string =>
  bytes < 1000 ? `${bytes} bytes` : `${count(Math.ceil(bytes / 1000))} kB`;

function useDrop(onFiles: (files: File[]) => void): void {
  const latest = useRef(onFiles);
  latest.current = onFiles;
  useLayoutEffect(() => {
    // Beside the marked field, too, because the browser would otherwise open the file instead.
    const over = (event: DragEvent) => event.preventDefault();
    const drop = (event: DragEvent) => {
      event.preventDefault();
      latest.current([...(event.dataTransfer?.files ?? [])]);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, []);
}

export function Files(props: { files: readonly File[]; onChange: (files: File[]) => void }) {
  const { files, onChange } = props;
  const add = (added: readonly File[]) => onChange(withFiles(files, added));
  useDrop(add);
  return (
    <div class="drop">
      <label>
        Drop files here, or choose them
        <input
          type="file"
          multiple
          accept={KINDS}
          onChange={(event) => {
            add([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = ""; // so that the same file may be chosen again
          }}
        />
      </label>
      {files.length > 0 && (
        <ul class="lines" aria-label="Files">
          {files.map((file) => (
            <li key={file.name}>
              <button
                type="button"
                aria-label={`Remove ${file.name}`}
                onClick={() => onChange(files.filter((each) => each !== file))}
              >
                Remove
              </button>{" "}
              {file.name} <span class="muted">{sizeOf(file.size)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
