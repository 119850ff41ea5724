import type { Recorder } from '../recorder.ts';
import type { Subscription } from './subscription.ts';
import type { MadeToken } from './tokens.ts';

/** A gateway, as clients see it. */
export interface GatewayAddress {
  readonly name: string;
  readonly url: string;
}

/** How a connection ended. */
export interface ConnectionEnd {
  readonly by: 'client' | 'server' | 'network';
  readonly code?: number | string;
}

export interface ConnectionOptions {
  readonly recorder: Recorder;
  readonly name: string;
  readonly gateway: GatewayAddress;
  readonly token: MadeToken;
  readonly subscriptions: readonly Subscription[];
  /** A connection on which nothing arrives for this long counts as dead. */
  readonly deadAfterMs: number;
}

/** One connection of a client. Everything that arrives is recorded. */
export interface ClientConnection {
  readonly ended: Promise<ConnectionEnd>;
  pause(): void;
  resume(): void;
  /** Goes on with another token, where the transport knows that. */
  authenticate(token: MadeToken): void;
  close(): void;
}

/** Notices that nothing has arrived for a while, except while the client itself does not read. */
export class Silence {
  readonly #timer: NodeJS.Timeout;
  readonly #limitMs: number;
  #lastMs = performance.now();
  #paused = false;

  constructor(limitMs: number, onDead: () => void) {
    this.#limitMs = limitMs;
    this.#timer = setInterval(() => {
      if (!this.#paused && performance.now() - this.#lastMs > this.#limitMs) onDead();
    }, limitMs / 4);
  }

  heard(): void {
    this.#lastMs = performance.now();
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.heard();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
