import type { Cancel, Environment } from './environment.ts';

/** A link that is asked for a sign of life has so long to give one. */
const PROBE_MS = 5_000;

/**
 * Tells when nothing has come for two heartbeats. A timer that fired late, because the page was frozen or the
 * machine slept, says nothing about the link: it is asked, and has until the next heartbeat is due to answer.
 */
export class SilenceWatch {
  readonly #environment: Environment;
  readonly #does: { readonly ask: () => void; readonly dead: () => void };
  #timer: Cancel | undefined;
  #probe: Cancel | undefined;
  #heartbeatMs = 0;
  #silentFor = 0;
  #lookedAt = 0;

  constructor(
    environment: Environment,
    does: { readonly ask: () => void; readonly dead: () => void },
  ) {
    this.#environment = environment;
    this.#does = does;
  }

  start(heartbeatMs: number): void {
    this.stop();
    this.#heartbeatMs = heartbeatMs;
    this.#silentFor = 0;
    this.#look();
  }

  stop(): void {
    this.#timer?.();
    this.#probe?.();
    this.#timer = undefined;
    this.#probe = undefined;
  }

  heard(): void {
    this.#silentFor = 0;
    this.#probe?.();
    this.#probe = undefined;
  }

  /** Finds out soon whether the link lives. */
  probe(): void {
    if (this.#probe || !this.#timer) return;
    const askedAt = this.#environment.now();
    this.#does.ask();
    this.#probe = this.#environment.timer(() => {
      this.#probe = undefined;
      if (this.#isLate(askedAt, PROBE_MS)) this.probe();
      else this.#does.dead();
    }, PROBE_MS);
  }

  #look(): void {
    this.#lookedAt = this.#environment.now();
    this.#timer = this.#environment.timer(() => this.#due(), this.#heartbeatMs);
  }

  #due(): void {
    if (this.#isLate(this.#lookedAt, this.#heartbeatMs)) {
      this.#silentFor = 0;
      this.#does.ask();
      // The first of three looks may have come right after a message: so nothing came for two whole heartbeats.
    } else if (++this.#silentFor > 2) {
      this.#does.dead();
      return;
    }
    this.#look();
  }

  #isLate(since: number, ms: number): boolean {
    return this.#environment.now() - since > ms * 1.5;
  }
}
