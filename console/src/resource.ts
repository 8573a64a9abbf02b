/** What is read from the service or done there, and what is known meanwhile. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ServiceError, toServiceError } from "./api.ts";

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
        setState((former) => ({ ...former, isLoading: false, error: toServiceError(reason) }));
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

/** Something that is done on a click: whether it is under way, and why it failed. */
export function useAction() {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ServiceError>();
  const run = async (act: () => Promise<unknown>) => {
    setError(undefined);
    setBusy(true);
    try {
      await act();
    } catch (reason) {
      setError(toServiceError(reason));
    }
    setBusy(false);
  };
  return { isBusy, error, run, forget: () => setError(undefined) };
}
