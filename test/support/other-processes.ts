import type { OtherProcesses } from '@tidemark/http';

/** Two processes that hear at once what the other counts. */
export function twoProcesses(): [OtherProcesses, OtherProcesses] {
  const one = new Told();
  const two = new Told();
  one.other = two;
  two.other = one;
  return [one, two];
}

class Told implements OtherProcesses {
  other: Told = this;
  readonly #held = new Map<string, number>();
  readonly #rates = new Map<string, (key: string, count: number) => void>();

  heldElsewhere(limit: string, key: string): number {
    return this.other.#held.get(`${limit} ${key}`) ?? 0;
  }

  tellHeld(limit: string, key: string, change: number): void {
    this.#held.set(`${limit} ${key}`, (this.#held.get(`${limit} ${key}`) ?? 0) + change);
  }

  tellUsed(limit: string, key: string, count: number): void {
    this.other.#rates.get(limit)?.(key, count);
  }

  onUsed(limit: string, listen: (key: string, count: number) => void): void {
    this.#rates.set(limit, listen);
  }
}
