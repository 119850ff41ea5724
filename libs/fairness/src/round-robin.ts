/** Most quanta that a participant can owe. Its debt is paid one by one, in a loop that must end. */
const DEBT_QUANTA_MAX = 100;

/** What is served in turn with others of its kind. */
export interface Participant<K, C> {
  readonly key: K;
  readonly content: C;
  /** How much it has waiting. */
  waiting: number;
  /** The cost that it may still cause before the others are served. Less than nothing is a debt. */
  credit: number;
}

/**
 * Deficit round robin (M. Shreedhar and G. Varghese, 1995): the first participant is served until its credit
 * is spent, then goes to the end and gets one quantum more. Costs are charged afterwards, when they are
 * known. A participant with nothing waiting stays until its debt is paid: nobody gets rid of it by leaving.
 */
export class RoundRobin<K, C> {
  readonly #quantum: number;
  readonly #participants = new Map<K, Participant<K, C>>();

  constructor(quantum: number) {
    this.#quantum = quantum;
  }

  find(key: K): Participant<K, C> | undefined {
    return this.#participants.get(key);
  }

  /** The participant of a key; a new one is served after the others. */
  open(key: K, create: () => C): Participant<K, C> {
    const found = this.#participants.get(key);
    if (found) return found;
    const participant = { key, content: create(), waiting: 0, credit: this.#quantum };
    this.#participants.set(key, participant);
    return participant;
  }

  /** The participant to serve now. At least one must have something waiting. */
  next(): Participant<K, C> {
    // What is set again goes to the end of the map, and the loop comes to it there.
    for (const [key, participant] of this.#participants) {
      const { waiting, credit } = participant;
      if (waiting > 0 && credit > 0) return participant;
      this.#participants.delete(key);
      if (waiting === 0 && credit >= 0) continue;
      const debt = Math.max(credit, -DEBT_QUANTA_MAX * this.#quantum);
      participant.credit = Math.min(debt + this.#quantum, this.#quantum);
      this.#participants.set(key, participant);
    }
    throw new Error('Nothing is waiting.');
  }

  /** What is given back never makes more than a quantum. */
  charge(participant: Participant<K, C>, cost: number): void {
    participant.credit = Math.min(participant.credit - cost, this.#quantum);
  }

  clear(): void {
    this.#participants.clear();
  }
}
