import type { Logger } from '@tidemark/telemetry';

/** How long refusals are counted before a line tells their number. */
const WINDOW_MS = 1000;

/** Most kinds of refusals with lines of their own in that time, of all senders. */
const KINDS_MAX = 200;

/** Whose request was refused: an address, or a user where it is known. */
export type Refused = { readonly address: string } | { readonly subject: string };

/** A refusal, as its line tells it. */
export interface Refusal {
  /** `refused` or `limit reached`. */
  readonly message: string;
  readonly code: string;
  readonly transport?: string;
}

interface Kind {
  readonly about: object;
  readonly message: string;
  more: number;
}

/**
 * Refusal log: one line for the first refusal of a kind from one sender, and a second later one line with
 * the number of further ones. Whoever sends thousands of requests does not push other lines out of the log.
 */
export class RefusalLog {
  readonly #logger: Pick<Logger, 'info'>;
  readonly #kinds = new Map<string, Kind>();
  #others = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Pick<Logger, 'info'>) {
    this.#logger = logger;
  }

  /** @param details further fields of the line, if this refusal gets one */
  tell(who: Refused, refusal: Refusal, details: () => object = () => ({})): void {
    const { message, ...about } = refusal;
    const name = 'address' in who ? who.address : `user ${who.subject}`;
    const key = JSON.stringify([name, message, about.code, about.transport]);
    const known = this.#kinds.get(key);
    this.#timer ??= setTimeout(() => this.#endWindow(), WINDOW_MS).unref();
    if (known) known.more++;
    else if (this.#kinds.size === KINDS_MAX) this.#others++;
    else {
      this.#kinds.set(key, { about: { ...who, ...about }, message, more: 0 });
      this.#logger.info({ ...who, ...about, ...details() }, message);
    }
  }

  #endWindow(): void {
    this.#timer = undefined;
    for (const { about, message, more } of this.#kinds.values()) {
      if (more > 0) this.#logger.info({ ...about, more }, `${message}: more in the last second`);
    }
    if (this.#others > 0) this.#logger.info({ more: this.#others }, 'refused: further senders');
    this.#kinds.clear();
    this.#others = 0;
  }
}
