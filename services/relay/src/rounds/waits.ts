import type { Logger } from '@tidemark/telemetry';

/** What the relay may wait for. */
export const WAITS_FOR = ['database', 'ingest', 'lookups', 'topics'] as const;

/** One of what the relay may wait for. */
export type WaitsFor = (typeof WAITS_FOR)[number];

/** What the relay waits for at present. Each wait is told once, and once more when it is over or its reason changes. */
export class Waits {
  readonly #reasons = new Map<WaitsFor, string>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  begin(on: WaitsFor, reason: string): void {
    if (this.#reasons.get(on) === reason) return;
    this.#reasons.set(on, reason);
    this.#logger.warn({ for: on, reason }, 'waiting');
  }

  end(on: WaitsFor): void {
    if (this.#reasons.delete(on)) this.#logger.info({ for: on }, 'going on');
  }

  has(on: WaitsFor): boolean {
    return this.#reasons.has(on);
  }

  /** For a metric: 1 for each that lasts. */
  get values(): Record<WaitsFor, number> {
    const entries = WAITS_FOR.map((on) => [on, this.has(on) ? 1 : 0] as const);
    return Object.fromEntries(entries) as Record<WaitsFor, number>;
  }
}
