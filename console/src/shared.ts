/** Values that every page shares. A change of one draws the whole page again: they change seldom. */

let draw = (): void => {};
let isDue = false;

/** Draw now, and after each change of a shared value. */
export function drawWith(act: () => void): void {
  draw = act;
  draw();
}

export class Shared<Value> {
  #value: Value;

  constructor(value: Value) {
    this.#value = value;
  }

  get value(): Value {
    return this.#value;
  }

  set value(next: Value) {
    if (next === this.#value) return;
    this.#value = next;
    if (isDue) return;
    isDue = true; // so that several changes at once are drawn once
    queueMicrotask(() => {
      isDue = false;
      draw();
    });
  }
}
