import type { ServerResponse } from 'node:http';
import { type ProgressOptions, ProgressWatch } from './progress.ts';

/** Bytes written at once. The progress of a larger write shows only when the client has taken all of it. */
const PIECE_BYTES = 16 * 1024;

/**
 * An answer whose client must go on taking it. A client that takes too little loses its connection, so that
 * it cannot hold memory and a place for as long as it likes.
 */
export class WatchedAnswer {
  readonly #response: ServerResponse;
  readonly #watch: ProgressWatch;

  constructor(response: ServerResponse, progress: ProgressOptions) {
    const { socket } = response;
    this.#response = response;
    this.#watch = new ProgressWatch(progress, {
      bytes: () => (socket ? socket.bytesWritten - socket.writableLength : 0),
      onSlow: () => {
        progress.limits.hit('answer_progress');
        response.destroy();
      },
    });
  }

  /** Writes bytes. Resolves when the client has room for more, or is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#response.closed; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      if (!this.#response.write(piece)) await this.#wait('drain');
    }
  }

  /** Ends the answer. Resolves when the client has taken all of it, or is gone. */
  async end(text = ''): Promise<void> {
    if (this.#response.closed) return;
    this.#response.end(text);
    await this.#wait('finish');
  }

  #wait(event: 'drain' | 'finish'): Promise<void> {
    const response = this.#response;
    if (response.closed || response.writableFinished) return Promise.resolve();
    this.#watch.resume();
    return new Promise((resolve) => {
      const done = () => {
        this.#watch.pause();
        response.off(event, done).off('close', done);
        resolve();
      };
      response.on(event, done).on('close', done);
    });
  }
}
