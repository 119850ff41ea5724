import { type Participant, RoundRobin } from './round-robin.ts';

/** Whose work waits. */
export interface Flow {
  readonly user: string;
  /** Anything that stands for one connection or request of the user. */
  readonly connection: object;
}

/**
 * Fair queue: serves users round robin, and within a user its connections. All get the same share of the
 * cost, not of the count, so a user who has much waiting, on however many connections, delays another one
 * by a quantum and not by all of it. What one connection has waiting is taken in order.
 */
export class FairQueue<T> {
  readonly #users: RoundRobin<string, RoundRobin<object, T[]>>;
  readonly #quantum: number;
  #size = 0;

  /** @param quantum the cost that a user may cause before the next one, in the unit of `charge` */
  constructor(quantum: number) {
    this.#quantum = quantum;
    this.#users = new RoundRobin(quantum);
  }

  /** What waits, of all users. */
  get size(): number {
    return this.#size;
  }

  /** Whose item is taken next; `undefined` where nothing waits. */
  get nextUser(): string | undefined {
    return this.#size === 0 ? undefined : this.#users.next().key;
  }

  add(item: T, flow: Flow): void {
    const user = this.#userOf(flow.user);
    const connection = user.content.open(flow.connection, () => []);
    connection.content.push(item);
    connection.waiting++;
    user.waiting++;
    this.#size++;
  }

  /** Takes what is next; `undefined` where nothing waits. Its cost must be charged. */
  take(): { readonly item: T; readonly flow: Flow } | undefined {
    if (this.#size === 0) return undefined;
    const user = this.#users.next();
    const connection = user.content.next();
    const item = connection.content.shift() as T;
    connection.waiting--;
    user.waiting--;
    this.#size--;
    return { item, flow: { user: user.key, connection: connection.key } };
  }

  /** Charges the cost of what was taken. Several charges add up; a negative one gives back. */
  charge({ user, connection }: Flow, cost: number): void {
    if (this.#size === 0) {
      // Nobody is waiting, so nobody was delayed.
      this.#users.clear();
      return;
    }
    const owner = this.#userOf(user);
    const { content: connections } = owner;
    this.#users.charge(owner, cost);
    connections.charge(
      connections.open(connection, () => []),
      cost,
    );
  }

  /** Removes one item that nobody wants any more. @returns whether it was waiting */
  remove(item: T, { user, connection }: Flow): boolean {
    const owner = this.#users.find(user);
    const found = owner?.content.find(connection);
    const at = found?.content.indexOf(item) ?? -1;
    if (!owner || !found || at < 0) return false;
    found.content.splice(at, 1);
    found.waiting--;
    owner.waiting--;
    this.#size--;
    return true;
  }

  #userOf(user: string): Participant<string, RoundRobin<object, T[]>> {
    return this.#users.open(user, () => new RoundRobin(this.#quantum));
  }
}
