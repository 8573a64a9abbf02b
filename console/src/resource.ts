/** Values that are read from the service, and what is known while they are read. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ServiceError } from "./api.ts";

export interface Resource<Value> {
  value: Value | undefined;
  /** When the value was read; older than `isLoading` says while a newer one is on its way. */
  readAt: Date | undefined;
  isLoading: boolean;
  error: ServiceError | undefined;
  reload: () => void;
  set: (value: Value) => void;
}

/** Read when `key` changes; the former value stays, marked by `isLoading`, until then. */
export function useResource<Value>(
  key: string,
  load: (signal: AbortSignal) => Promise<Value>,
): Resource<Value> {
  const [state, setState] = useState<Omit<Resource<Value>, "reload" | "set">>({
    value: undefined,
    readAt: undefined,
    isLoading: true,
    error: undefined,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const control = new AbortController();
    setState((former) => ({ ...former, isLoading: true }));
    latest.current(control.signal).then(
      (value) => {
        if (control.signal.aborted) return;
        setState({ value, readAt: new Date(), isLoading: false, error: undefined });
      },
      (reason: unknown) => {
        if (control.signal.aborted) return;
        const error =
          reason instanceof ServiceError
            ? reason
            : new ServiceError(0, { detail: String(reason) }, null);
        setState((former) => ({ ...former, isLoading: false, error }));
      },
    );
    return () => control.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((former) => former + 1), []);
  const set = useCallback(
    (value: Value) => setState({ value, readAt: new Date(), isLoading: false, error: undefined }),
    [],
  );
  return { ...state, reload, set };
}
