import type { Task, Turns } from './task-scheduler.ts';

/**
 * What clients have said and nobody has looked at yet, of all connections in the order in which it
 * came. It is worked on in turns: when 5,000 clients return at once, their messages are readable in
 * one poll, and taking each as it comes would hold the loop for half a second.
 *
 * Who puts something in bounds it: a connection of which much waits in here is not read any more.
 */
export class Inbox implements Task {
  readonly #turns: Pick<Turns, 'add'>;
  readonly #nowMs: () => number;
  #waiting: (() => void)[] = [];

  constructor(turns: Pick<Turns, 'add'>, nowMs: () => number) {
    this.#turns = turns;
    this.#nowMs = nowMs;
  }

  put(act: () => void): void {
    this.#waiting.push(act);
    this.#turns.add(this);
  }

  run(deadlineMs: number): boolean {
    const acts = this.#waiting;
    let next = 0;
    for (const act of acts) {
      next++;
      act();
      if (this.#nowMs() >= deadlineMs) break;
    }
    this.#waiting = acts.slice(next);
    return this.#waiting.length > 0;
  }
}
