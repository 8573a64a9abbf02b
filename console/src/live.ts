/** The state of a run as it changes: a stream on the visible tab, otherwise a look every 2 s. */

export type Mode = "live" | "polling" | "paused" | "over";
export const POLL_MS = 2_000;

/** What following needs of the browser; tests give their own. */
export interface Means<State> {
  open: (lastEventId: string) => Stream;
  read: () => Promise<State>;
  isOver: (state: State) => boolean;
  isHidden: () => boolean;
  onVisibility: (listener: () => void) => () => void;
}

export interface Stream {
  readonly readyState: number;
  addEventListener: (kind: string, listener: (event: MessageEvent<string>) => void) => void;
  onerror: (() => void) | null;
  close: () => void;
}

const CLOSED = 2;

/** Follow until the run is over or the returned function is called. */
export function follow<State>(
  means: Means<State>,
  onState: (state: State) => void,
  onMode: (mode: Mode) => void,
): () => void {
  let stream: Stream | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastEventId = "";
  let isDone = false;

  const rest = () => {
    stream?.close();
    stream = undefined;
    clearTimeout(timer);
  };
  const take = (state: State) => {
    if (isDone) return;
    onState(state);
    if (means.isOver(state)) {
      stop();
      onMode("over");
    }
  };
  const poll = async () => {
    onMode("polling");
    try {
      take(await means.read());
    } catch {
      // the next look may succeed; the page shows that the service is away
    }
    if (!isDone && !means.isHidden()) timer = setTimeout(poll, POLL_MS);
  };
  const begin = () => {
    rest();
    if (isDone) return;
    if (means.isHidden()) {
      onMode("paused"); // because a hidden tab would hold one of the browser's six connections
      return;
    }
    const opened = means.open(lastEventId);
    stream = opened;
    const hear = (event: MessageEvent<string>) => {
      onMode("live");
      take(JSON.parse(event.data) as State);
    };
    opened.addEventListener("progress", hear);
    opened.addEventListener("end", hear);
    opened.addEventListener("chunk", (event) => {
      lastEventId = event.lastEventId || lastEventId;
    });
    opened.onerror = () => {
      // A refused stream stays closed; one that broke off is opened again by the browser.
      if (opened === stream && opened.readyState === CLOSED) {
        rest();
        void poll();
      }
    };
  };
  const forget = means.onVisibility(begin);
  const stop = () => {
    isDone = true;
    rest();
    forget();
  };
  begin();
  return stop;
}
