import { Worker } from 'node:worker_threads';
import type { Logger } from '@tidemark/telemetry';

/** Least time between two checkpoints. */
const PAUSE_MS = 250;

/** Least JSON that was written since the last checkpoint began, in UTF-16 units. Each one waits for the disk twice. */
const WRITTEN_MIN = 1024 * 1024;

/** The thread's file. A source that is run itself, as by unit tests, takes the built one: not every Node runs TypeScript. */
const THREAD = import.meta.url.endsWith('.ts')
  ? '../../dist/archive/checkpoint-thread.js'
  : './checkpoint-thread.js';

/** Least time between two log lines about a fault. */
const FAULT_LOG_MS = 60_000;

/**
 * Moves what is written into the archive's file, in a thread of its own: a checkpoint waits for the disk, 50 ms a second
 * at 20,000 events/s, and whoever asks for anything would wait with it.
 *
 * It takes nothing from the writer's own checkpoint, which comes at `WAL_PAGES` and finds little left. A fault of the
 * thread therefore loses nothing but time.
 */
export class Checkpoints {
  readonly #path: string;
  readonly #logger: Logger;
  #thread: Worker | undefined;
  #answer: (fault: string | undefined) => void = () => {};
  #underway: Promise<void> | undefined;
  #endedMs = Number.NEGATIVE_INFINITY;
  #faultMs = Number.NEGATIVE_INFINITY;
  #held = false;
  #written = 0;

  /** @param path the file, which others may have open as well */
  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  /** Whether the thread may have the file open. */
  get underway(): boolean {
    return this.#underway !== undefined;
  }

  /** Begins one where enough was written, unless one is under way or was just made. The first one begins the thread. */
  noteWritten(events: readonly { readonly json: string }[]): void {
    for (const { json } of events) this.#written += json.length;
    if (this.#written < WRITTEN_MIN || this.#held || this.#underway) return;
    if (performance.now() - this.#endedMs < PAUSE_MS) return;
    this.#written = 0;
    this.#underway = this.#make().finally(() => {
      this.#underway = undefined;
      this.#endedMs = performance.now();
    });
  }

  /**
   * Makes a change while the thread does not have the file open. Whoever closes a file last removes the log of its
   * name, so no file may get that name while the thread has another one open under it.
   */
  async whileClosed<T>(change: () => T): Promise<T> {
    this.#held = true;
    try {
      await this.#underway;
      return change();
    } finally {
      this.#held = false;
    }
  }

  /** Ends the thread for good, after the checkpoint under way. */
  async stop(): Promise<void> {
    this.#held = true;
    await this.#underway;
    await this.#thread?.terminate();
  }

  async #make(): Promise<void> {
    this.#thread ??= this.#start();
    const answered = new Promise<string | undefined>((resolve) => {
      this.#answer = resolve;
    });
    this.#thread.postMessage(this.#path);
    const fault = await answered;
    if (fault !== undefined) this.#noteFault(fault);
  }

  #start(): Worker {
    const thread = new Worker(new URL(THREAD, import.meta.url));
    thread.on('message', (fault: string | undefined) => this.#answer(fault));
    thread.on('error', (error) => this.#answer(String(error)));
    // The next checkpoint begins another one.
    thread.on('exit', () => {
      this.#thread = undefined;
      this.#answer('its thread has ended');
    });
    thread.unref();
    return thread;
  }

  #noteFault(reason: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#faultMs < FAULT_LOG_MS) return;
    this.#faultMs = nowMs;
    this.#logger.warn({ reason }, 'a checkpoint of the archive failed; its writer will make it');
  }
}
