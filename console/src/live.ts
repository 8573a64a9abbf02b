/** The state of a run as it changes: a stream on the visible tab, otherwise a look every 2 s. */

export type Mode = "live" | "reconnecting" | "polling" | "paused" | "over";
export const POLL_MS = 2_000;
/** Looks after a refused stream before the next try, because a refusal may last only seconds. */
export const POLLS_PER_TRY = 5;

/** What following needs of the browser; tests give their own. */
export interface Means<State> {
  open: (lastEventId: string) => Stream;
  read: () => Promise<State>;
  isOver: (state: State) => boolean;
  isHidden: () => boolean;
  wait: (then: () => void, ms: number) => () => void;
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
  let forgetTimer = () => {};
  let lastEventId = "";
  let isDone = false;
  let turn = 0; // an answer to a look of an earlier turn is older than what is shown

  const rest = () => {
    turn += 1;
    stream?.close();
    stream = undefined;
    forgetTimer();
  };
  const take = (state: State) => {
    if (isDone) return;
    onState(state);
    if (means.isOver(state)) {
      stop();
      onMode("over");
    }
  };
  const poll = async (looksLeft: number) => {
    const asked = turn;
    onMode("polling");
    try {
      const state = await means.read();
      if (asked === turn) take(state);
    } catch {
      // the next look may succeed; the page shows that the service is away
    }
    if (isDone || asked !== turn) return;
    const next = looksLeft > 1 ? () => void poll(looksLeft - 1) : begin;
    forgetTimer = means.wait(next, POLL_MS);
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
      if (opened !== stream) return;
      if (opened.readyState !== CLOSED) {
        onMode("reconnecting");
        return;
      }
      rest();
      void poll(POLLS_PER_TRY);
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
