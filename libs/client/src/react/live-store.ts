import { useSyncExternalStore } from 'react';
import type { Tidemark } from '../types.ts';
import { afterTask, nextFrame } from './timing.ts';

/** Why what a hook shows no longer follows changes; absent while it does. */
export interface Failure {
  readonly error?: Error;
}

/** What a source says while it is open. */
export interface Hearer {
  /** `view` has something new. */
  changed(): void;
  /** Nothing more will come. */
  failed(error: unknown): void;
}

/** What a hook shows, and how it is kept up to date. */
export interface Source<View extends object> {
  /** Opens it, also again after it was closed. @returns a function that closes it */
  open(hearer: Hearer): () => void;
  /** All of it at this moment, with a new identity where something has changed. */
  view(): View;
}

/**
 * A source as `useSyncExternalStore` wants it. The first listener opens it, so that rendering alone opens nothing; it
 * is closed after the last one has gone. Changes of one frame are shown together.
 */
export class LiveStore<View extends object> {
  readonly #client: Tidemark;
  readonly #source: Source<View>;
  readonly #initial: View & Failure;
  readonly #listeners = new Set<() => void>();
  #view: View & Failure;
  #error: Error | undefined;
  #close: (() => void) | undefined;
  #cancelClosing: (() => void) | undefined;
  #cancelFrame: (() => void) | undefined;

  /** @param initial what a server shows; by default what the source has now */
  constructor(client: Tidemark, source: Source<View>, initial?: View) {
    this.#client = client;
    this.#source = source;
    this.#view = source.view();
    this.#initial = initial ?? this.#view;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    // Twice the same function is heard twice, and ended once each.
    const one = () => listener();
    this.#listeners.add(one);
    this.#cancelClosing?.();
    this.#close ??= this.#follow();
    return () => {
      this.#listeners.delete(one);
      if (this.#listeners.size > 0) return;
      this.#cancelClosing = afterTask(() => {
        this.#close?.();
        this.#close = undefined;
      });
    };
  };

  readonly current = (): View & Failure => this.#view;

  /** What a server shows, and a browser while it takes over the server's page. */
  readonly initial = (): View & Failure => this.#initial;

  /** A client that was stopped has ended everything; what is shown begins again when the client does. */
  #follow(): () => void {
    let close = this.#open();
    let wasStopped = this.#client.status.state === 'stopped';
    const endStatus = this.#client.on('status', ({ state }) => {
      const isBack = wasStopped && state !== 'stopped';
      wasStopped = state === 'stopped';
      if (!isBack) return;
      close();
      close = this.#open();
    });
    return () => {
      endStatus();
      close();
      this.#cancelFrame?.();
      this.#cancelFrame = undefined;
    };
  }

  #open(): () => void {
    let isOpen = true;
    if (this.#error) {
      this.#error = undefined;
      this.#changed();
    }
    const failed = (error: unknown) => {
      if (!isOpen) return;
      this.#error = error instanceof Error ? error : new Error(String(error));
      this.#changed();
    };
    let close = () => {};
    try {
      close = this.#source.open({ changed: () => isOpen && this.#changed(), failed });
    } catch (error) {
      failed(error);
    }
    return () => {
      isOpen = false;
      close();
    };
  }

  #changed(): void {
    this.#cancelFrame ??= nextFrame(() => {
      this.#cancelFrame = undefined;
      const view = this.#source.view();
      this.#view = this.#error ? { ...view, error: this.#error } : view;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** Renders again with each view of the store. */
export function useLive<View extends object>(store: LiveStore<View>): View & Failure {
  return useSyncExternalStore(store.subscribe, store.current, store.initial);
}
