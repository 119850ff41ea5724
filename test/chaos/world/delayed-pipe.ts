import type { Socket } from 'node:net';

interface Waiting {
  readonly dueMs: number;
  /** `undefined`: the end. */
  readonly bytes: Buffer | undefined;
}

/** Passes bytes from one socket to another, each after a delay, and always in their order. */
export class DelayedPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delayMs: () => number;
  #queue: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #held = false;

  /** @param delayMs asked for each piece that arrives */
  constructor(from: Socket, to: Socket, delayMs: () => number) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
    from.on('data', (bytes: Buffer) => this.#add(bytes));
    to.on('drain', () => this.#flow());
  }

  /** Reads nothing more until it is told to go on. */
  hold(held: boolean): void {
    this.#held = held;
    this.#flow();
  }

  /** Ends the other side after what is on its way. */
  end(): void {
    this.#add(undefined);
  }

  #flow(): void {
    if (this.#held || this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }

  #add(bytes: Buffer | undefined): void {
    this.#queue.push({ dueMs: performance.now() + this.#delayMs(), bytes });
    this.#send();
  }

  #send(): void {
    if (this.#timer !== undefined) return;
    for (;;) {
      const [next] = this.#queue;
      if (!next) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#send();
        }, waitMs);
        return;
      }
      this.#queue.shift();
      if (next.bytes === undefined) this.#to.destroySoon();
      else if (!this.#to.destroyed && !this.#to.write(next.bytes)) this.#flow();
    }
  }
}
