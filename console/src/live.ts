/** The state of a run as it changes: a stream on the visible tab, otherwise a look every 2 s. */

export type Mode = "live" | "reconnecting" | "polling" | "paused" | "over";
export const POLL_MS = 2_000;
/** Looks after a refused stream before the next try, because a refusal may last only seconds. */
export const POLLS_PER_TRY = 5;

/** What following needs of the browser; tests give their own. */
export interface Browser<State> {
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
  browser: Browser<State>,
  onState: (state: State) => void,
  onMode: (mode: Mode) => void,
): () => void {
  let stream: Stream | undefined;
  let forgetTimer = () => {};
  let lastEventId = "";
  let isDone = false;
  let turn = 0; // an answer to a look of an earlier turn is older than what is shown

  const disconnect = () => {
    turn += 1;
    stream?.close();
    stream = undefined;
    forgetTimer();
  };
  const show = (state: State) => {
    if (isDone) return;
    onState(state);
    if (browser.isOver(state)) {
      stop();
      onMode("over");
    }
  };
  const poll = async (looksLeft: number) => {
    const asked = turn;
    onMode("polling");
    try {
      const state = await browser.read();
      if (asked === turn) show(state);
    } catch {
      // the next look may succeed; the page shows that the service is away
    }
    if (isDone || asked !== turn) return;
    const next = looksLeft > 1 ? () => void poll(looksLeft - 1) : begin;
    forgetTimer = browser.wait(next, POLL_MS);
  };
  const begin = () => {
    disconnect();
    if (isDone) return;
    if (browser.isHidden()) {
      onMode("paused"); // because a hidden tab would hold one of the browser's six connections
      return;
    }
    const opened = browser.open(lastEventId);
    stream = opened;
    const onMessage = (event: MessageEvent<string>) => {
      onMode("live");
      show(JSON.parse(event.data) as State);
    };
    opened.addEventListener("progress", onMessage);
    opened.addEventListener("end", onMessage);
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
      disconnect();
      void poll(POLLS_PER_TRY);
    };
  };
  const forget = browser.onVisibility(begin);
  const stop = () => {
    isDone = true;
    disconnect();
    forget();
  };
  begin();
  return stop;
}
