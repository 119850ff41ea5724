import cluster from 'node:cluster';
import { NO_OTHERS, type OtherProcesses } from '@tidemark/http';
import { Gathered, Sums } from './counts.ts';
import { mergeMetrics } from './exposition.ts';
import { COLLECT_MS, type Place, readPlace, type ToParent, type ToProcess } from './messages.ts';

/** How long counts are gathered, in ms: what two processes may not know of each other. */
const GATHER_MS = 20;

/** How often a process looks whether it is ready, in ms. */
const READY_POLL_MS = 100;

/** Siblings: the processes of a service that share its ports on this host, as one of them sees the others. */
export interface Siblings extends OtherProcesses {
  /** How many there are with this one; 1 for a process that is alone. */
  readonly count: number;
  /** Which one this is, from 1; `undefined` for a process that is alone. */
  readonly number: number | undefined;
  /** Whether it takes the place of one that died, while the others serve. */
  readonly successor: boolean;
  /** Whether all others that should serve are ready. One that died is not waited for. */
  readonly othersReady: boolean;
  /** Tells the parent that this one listens, and from now on whether it is ready. */
  announce(ready: () => boolean): void;
  /** @returns reads the metrics of all of them and of the parent, where `own` reads those of this one */
  shareMetrics(own: () => Promise<string>): () => Promise<string>;
}

/** A process that is alone. */
const ALONE: Siblings = {
  ...NO_OTHERS,
  count: 1,
  number: undefined,
  successor: false,
  othersReady: true,
  announce: () => {},
  shareMetrics: (own) => own,
};

/** The siblings of this process: none, unless a parent of `run-processes.ts` started it. */
export function joinSiblings(environment: NodeJS.ProcessEnv): Siblings {
  if (!cluster.isWorker || !cluster.worker) return ALONE;
  // Without it Node ends a process at once when its parent is gone; it shall drain.
  cluster.worker.exitedAfterDisconnect = true;
  return new JoinedSiblings(readPlace(environment));
}

class JoinedSiblings implements Siblings {
  readonly count: number;
  readonly number: number;
  readonly successor: boolean;
  othersReady = false;
  readonly #held = new Sums();
  readonly #gathered = new Gathered(GATHER_MS, (counted) => send({ is: 'counted', ...counted }));
  readonly #rates = new Map<string, (key: string, count: number) => void>();
  readonly #collecting = new Map<number, (texts: readonly string[]) => void>();
  #own: () => Promise<string> = async () => '';
  #collected = 0;

  constructor({ number, count, successor }: Place) {
    this.number = number;
    this.count = count;
    this.successor = successor;
    process.on('message', (message) => this.#receive(message as ToProcess));
  }

  heldElsewhere(limit: string, key: string): number {
    return this.#held.get(limit, key);
  }

  tellHeld(limit: string, key: string, change: number): void {
    this.#gathered.addHeld(limit, key, change);
  }

  tellUsed(limit: string, key: string, count: number): void {
    this.#gathered.addUsed(limit, key, count);
  }

  onUsed(limit: string, listen: (key: string, count: number) => void): void {
    this.#rates.set(limit, listen);
  }

  announce(ready: () => boolean): void {
    send({ is: 'started' });
    let told = false;
    const look = () => {
      const isReady = ready();
      if (isReady !== told) send({ is: 'ready', ready: isReady });
      told = isReady;
    };
    look();
    setInterval(look, READY_POLL_MS).unref();
  }

  shareMetrics(own: () => Promise<string>): () => Promise<string> {
    this.#own = own;
    return () => this.#collect();
  }

  async #collect(): Promise<string> {
    const id = ++this.#collected;
    const others = new Promise<readonly string[]>((resolve) => {
      this.#collecting.set(id, resolve);
      // The parent waits as long for the others; this is for a parent that does not answer.
      setTimeout(() => resolve([]), 2 * COLLECT_MS).unref();
      send({ is: 'collect', id });
    });
    const texts = [await this.#own(), ...(await others)];
    this.#collecting.delete(id);
    return mergeMetrics(texts);
  }

  #receive(message: ToProcess): void {
    if (message.is === 'others') this.othersReady = message.ready;
    if (message.is === 'collected') this.#collecting.get(message.id)?.(message.texts);
    if (message.is === 'collect') void this.#answer(message.id);
    if (message.is !== 'counted') return;
    this.#held.addAll(message.held);
    for (const [limit, key, count] of message.used) this.#rates.get(limit)?.(key, count);
  }

  async #answer(id: number): Promise<void> {
    send({ is: 'metrics', id, text: await this.#own() });
  }
}

/** A parent that is gone is told nothing; its end stops this process. */
function send(message: ToParent): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}
