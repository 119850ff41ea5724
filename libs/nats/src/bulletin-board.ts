import {
  type Bulletin,
  type BulletinOf,
  REPORTING_SERVICES,
  type ReportingService,
} from '@tidemark/protocol';

/** How long a process that fell silent is shown, in ms. */
export const BULLETIN_AGE_MAX_MS = 10_000;

/** Most processes on a board. Bulletins of further ones are counted and ignored. */
export const BULLETINS_MAX = 1000;

/** For so long after its begin a board may lack processes that have yet to publish, in ms. */
const SETTLING_MS = 2500;

/** A bulletin, and how old it is. */
export interface Posted<B extends Bulletin = Bulletin> {
  readonly bulletin: B;
  readonly seenMs: number;
}

/** Bulletin board: the newest bulletin of each process, for as long as it publishes any. */
export class BulletinBoard {
  readonly #nowMs: () => number;
  readonly #posted = new Map<string, { readonly bulletin: Bulletin; readonly atMs: number }>();
  #begunMs = Number.POSITIVE_INFINITY;
  /** Messages that were no bulletins, or more than the board has room for. */
  ignored = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Called when bulletins begin to arrive, and after each time without NATS. */
  begin(): void {
    this.#begunMs = this.#nowMs();
  }

  /** Whether every process that runs has had the time to publish since the board began. */
  get settled(): boolean {
    return this.#nowMs() - this.#begunMs >= SETTLING_MS;
  }

  /** Replaces the bulletin of its process; removes it where the process leaves. */
  post(bulletin: Bulletin): void {
    const { instance, leaving } = bulletin;
    this.#sweep();
    if (leaving) {
      this.#posted.delete(instance);
    } else if (this.#posted.has(instance) || this.#posted.size < BULLETINS_MAX) {
      this.#posted.set(instance, { bulletin, atMs: this.#nowMs() });
    } else {
      this.ignored++;
    }
  }

  /** All bulletins: gateways, ingests, replays, each by their names. */
  list(): Posted[] {
    this.#sweep();
    const nowMs = this.#nowMs();
    const rank = ({ service }: Bulletin) => REPORTING_SERVICES.indexOf(service);
    return [...this.#posted.values()]
      .map(({ bulletin, atMs }) => ({ bulletin, seenMs: Math.round(nowMs - atMs) }))
      .sort(({ bulletin: left }, { bulletin: right }) => {
        return rank(left) - rank(right) || (left.instance < right.instance ? -1 : 1);
      });
  }

  /** Those of one kind of service. */
  of<S extends ReportingService>(service: S): Posted<BulletinOf<S>>[] {
    return this.list().filter((one): one is Posted<BulletinOf<S>> => {
      return one.bulletin.service === service;
    });
  }

  #sweep(): void {
    const oldestMs = this.#nowMs() - BULLETIN_AGE_MAX_MS;
    for (const [instance, { atMs }] of this.#posted) {
      if (atMs < oldestMs) this.#posted.delete(instance);
    }
  }
}
