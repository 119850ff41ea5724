import {
  type NatsLink,
  readStreamState,
  reconcileStream,
  type StoreConfiguration,
} from '@tidemark/nats';
import type { Logger } from '@tidemark/telemetry';

/** How often the stream is looked at. */
const CHECK_MS = 2000;

export interface KeeperOptions {
  readonly link: NatsLink;
  readonly config: StoreConfiguration;
  readonly log: Logger;
}

/**
 * Replay owns the stream: this creates it, keeps it as configured, and creates it again, loudly,
 * when it is gone. It also knows the stream's end, from which the projection's lag is told.
 */
export class StreamKeeper {
  readonly #options: KeeperOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #forgetReconnect: () => void;
  #reconciled = false;
  #seen = false;
  #busy = false;
  #lastSequence = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.check(), CHECK_MS);
    this.#forgetReconnect = options.link.onReconnect(() => {
      this.#reconciled = false;
      void this.check();
    });
  }

  /** The stream's last sequence when it was last looked at. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Looks at the stream and sets right what is wrong; a failure is logged and tried again. */
  async check(): Promise<void> {
    const { link, config, log } = this.#options;
    if (this.#busy || !link.connected) return;
    this.#busy = true;
    try {
      let state = await readStreamState(link);
      if (!state && this.#seen) log.error('the stream is gone: a new one begins, empty');
      if (!state || !this.#reconciled) state = await reconcileStream(link, config, log);
      this.#reconciled = true;
      this.#seen = true;
      this.#lastSequence = state.lastSequence;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ reason, retryMs: CHECK_MS }, 'the stream could not be set up');
    } finally {
      this.#busy = false;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#forgetReconnect();
  }
}
