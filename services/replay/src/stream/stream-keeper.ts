import {
  type NatsLink,
  readStreamState,
  reconcileStream,
  type StoreConfiguration,
} from '@tidemark/nats';
import type { LogBounds } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';

/** Time between two checks of the stream. */
const CHECK_MS = 2000;

export interface StreamKeeperOptions {
  readonly link: NatsLink;
  readonly config: StoreConfiguration;
  readonly logger: Logger;
  /** Called after each check with the stream's bounds. */
  readonly onChecked: (bounds: LogBounds) => void;
}

/**
 * Owns the stream for the replay service: creates it and keeps it as configured. When the stream is
 * gone, it logs an error and creates it again. It also knows the stream's last sequence, from which
 * the archive's lag is computed.
 */
export class StreamKeeper {
  readonly #options: StreamKeeperOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #forgetConnect: () => void;
  #reconciled = false;
  #seen = false;
  #busy = false;
  #lastSequence = 0;

  constructor(options: StreamKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.checkStream(), CHECK_MS);
    this.#forgetConnect = options.link.onConnect(() => {
      this.#reconciled = false;
      void this.checkStream();
    });
  }

  /** The stream's last sequence at the last check; 0 before the first. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Checks the stream and corrects what is wrong; a failure is logged and tried again. */
  async checkStream(): Promise<void> {
    const { link, config, logger, onChecked } = this.#options;
    if (this.#busy || !link.connected) return;
    this.#busy = true;
    try {
      let bounds = await readStreamState(link);
      if (!bounds && this.#seen) logger.error('the stream is gone: creating a new, empty one');
      if (!bounds || !this.#reconciled) bounds = await reconcileStream(link, config, logger);
      this.#reconciled = true;
      this.#seen = true;
      this.#lastSequence = bounds.lastSequence;
      onChecked(bounds);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.error({ reason, retryMs: CHECK_MS }, 'the stream could not be set up');
    } finally {
      this.#busy = false;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#forgetConnect();
  }
}
