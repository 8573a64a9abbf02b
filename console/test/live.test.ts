import assert from "node:assert/strict";
import { test } from "node:test";
import { type Browser, follow, type Mode, POLLS_PER_TRY, type Stream } from "../src/live.ts";

interface State {
  done: number;
  over: boolean;
}

class FakeStream implements Stream {
  readyState = 1;
  onerror: (() => void) | null = null;
  isClosed = false;
  listeners = new Map<string, (event: MessageEvent<string>) => void>();
  addEventListener(kind: string, listener: (event: MessageEvent<string>) => void) {
    this.listeners.set(kind, listener);
  }
  close() {
    this.isClosed = true;
  }
  send(kind: string, state: State) {
    this.listeners.get(kind)?.({ data: JSON.stringify(state) } as MessageEvent<string>);
  }
}

function setUp(states: State[] = []) {
  const streams: FakeStream[] = [];
  const modes: Mode[] = [];
  const seen: State[] = [];
  let isHidden = false;
  let turn = () => {};
  let waiting: (() => void) | undefined;
  const answers: ((state: State) => void)[] = [];
  const browser: Browser<State> = {
    open: () => {
      const stream = new FakeStream();
      streams.push(stream);
      return stream;
    },
    read: async () => states.shift() ?? new Promise((resolve) => answers.push(resolve)),
    isOver: (state) => state.over,
    isHidden: () => isHidden,
    wait: (then) => {
      waiting = then;
      return () => {
        waiting = undefined;
      };
    },
    onVisibility: (listener) => {
      turn = listener;
      return () => {};
    },
  };
  const stop = follow(
    browser,
    (state) => seen.push(state),
    (mode) => modes.push(mode),
  );
  const show = (shown: boolean) => {
    isHidden = !shown;
    turn();
  };
  const pass = async () => {
    const then = waiting;
    waiting = undefined;
    then?.();
    await settle();
  };
  return { streams, modes, seen, show, stop, pass, answers };
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

async function refuse(stream: FakeStream | undefined) {
  assert.ok(stream);
  stream.readyState = 2;
  stream.onerror?.();
  await settle();
}

test("states of the stream are handed on until the run is over", () => {
  const { streams, modes, seen } = setUp();

  streams[0]?.send("progress", { done: 1, over: false });
  streams[0]?.send("end", { done: 2, over: true });

  assert.deepEqual(
    seen.map(({ done }) => done),
    [1, 2],
  );
  assert.equal(modes.at(-1), "over");
  assert.equal(streams[0]?.isClosed, true);
});

test("a hidden tab holds no stream, and a shown one opens another", () => {
  const { streams, modes, show, stop } = setUp();

  show(false);
  assert.equal(streams[0]?.isClosed, true);
  assert.equal(modes.at(-1), "paused");
  show(true);
  assert.equal(streams.length, 2);
  stop();
});

test("a refused stream is polled instead", async () => {
  const { streams, modes, seen } = setUp([{ done: 5, over: true }]);

  await refuse(streams[0]);

  assert.ok(modes.includes("polling"));
  assert.deepEqual(seen, [{ done: 5, over: true }]);
});

test("a stream that broke off is left to the browser, which opens it again", () => {
  const { streams, modes, stop } = setUp();
  const stream = streams[0];
  assert.ok(stream);

  stream.readyState = 0;
  stream.onerror?.();

  assert.equal(stream.isClosed, false);
  assert.deepEqual(modes, ["reconnecting"]);
  stream.send("progress", { done: 1, over: false });
  assert.equal(modes.at(-1), "live");
  stop();
});

test("after some looks a refused stream is tried again, and the run is live again", async () => {
  const looks = Array.from({ length: POLLS_PER_TRY }, (_, done) => ({ done, over: false }));
  const { streams, modes, pass, stop } = setUp(looks);

  await refuse(streams[0]);
  for (let look = 1; look < POLLS_PER_TRY; look += 1) {
    assert.equal(streams.length, 1);
    await pass();
  }
  await pass();

  assert.equal(streams.length, 2);
  assert.equal(modes.at(-1), "polling");
  streams[1]?.send("progress", { done: 9, over: false });
  assert.equal(modes.at(-1), "live");
  stop();
});

test("the answer to a look that a stream has overtaken is not shown", async () => {
  const { streams, seen, show, modes, answers, stop } = setUp();

  await refuse(streams[0]);
  show(false);
  show(true);
  streams[1]?.send("progress", { done: 7, over: false });
  answers[0]?.({ done: 3, over: false });
  await settle();

  assert.deepEqual(
    seen.map(({ done }) => done),
    [7],
  );
  assert.equal(modes.at(-1), "live");
  stop();
});
