import { setTimeout as sleep } from 'node:timers/promises';

/** Below ingest's limit for a body, whatever the payloads. */
const BATCH_BYTES_MAX = 512 * 1024;
const BATCH_EVENTS_MAX = 200;
const REQUESTS_MAX = 8;
const REQUEST_TIMEOUT_MS = 10_000;

/** How often a batch is sent again while ingest is away, and how long it waits between. */
const ATTEMPTS_MAX = 30;
const RETRY_MS = 1000;

/** Most different reasons that are told apart. */
const REASONS_MAX = 20;

/** Sends events to ingest in batches, several requests at a time. */
export class Sender {
  counts = { stored: 0, duplicates: 0, repeated: 0, failed: 0 };

  /** Why requests failed, and how often. @type {Map<string, number>} */
  errors = new Map();

  /** @type {string[]} */
  #batch = [];
  #batchBytes = 0;
  /** @type {Set<Promise<void>>} */
  #requests = new Set();
  #giveUp = false;
  #url;
  #token;

  /** @param {string} url @param {string} token */
  constructor(url, token) {
    this.#url = url;
    this.#token = token;
  }

  /** Resolves once there is room for a further event. @param {string} json */
  async add(json) {
    const bytes = Buffer.byteLength(json) + 1;
    if (this.#batchBytes + bytes > BATCH_BYTES_MAX) this.flush();
    this.#batch.push(json);
    this.#batchBytes += bytes;
    if (this.#batch.length >= BATCH_EVENTS_MAX) this.flush();
    while (this.#requests.size >= REQUESTS_MAX) await Promise.race(this.#requests);
  }

  /** Sends what was added. */
  flush() {
    if (this.#batch.length === 0) return;
    const request = this.#send(this.#batch).finally(() => this.#requests.delete(request));
    this.#requests.add(request);
    this.#batch = [];
    this.#batchBytes = 0;
  }

  /** Waits for what is on its way. @param {boolean} giveUp do not send again what fails now */
  async end(giveUp) {
    this.#giveUp = giveUp;
    this.flush();
    await Promise.all(this.#requests);
  }

  /** @param {readonly string[]} batch */
  async #send(batch) {
    const body = `[${batch.join()}]`;
    for (let attempt = 1; ; attempt++) {
      const { answers, retryable, reason } = await this.#post(body);
      if (answers) {
        const duplicates = answers.filter(({ duplicate }) => duplicate).length;
        this.counts.duplicates += duplicates;
        this.counts.stored += answers.length - duplicates;
        return;
      }
      this.#countError(reason);
      if (!retryable || this.#giveUp || attempt >= ATTEMPTS_MAX) break;
      // Safe, since `source` and `id` tell what is stored already.
      this.counts.repeated += batch.length;
      await sleep(RETRY_MS);
    }
    this.counts.failed += batch.length;
  }

  /**
   * @param {string} body
   * @returns {Promise<{ answers?: { duplicate: boolean }[], retryable: boolean, reason: string }>}
   */
  async #post(body) {
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${this.#token}`,
          'content-type': 'application/cloudevents-batch+json',
        },
        body,
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      const answer = /** @type {any} */ (await response.json());
      if (response.status === 201) return { answers: answer, retryable: false, reason: '' };
      const reason = `${response.status} ${answer.code}: ${answer.message}`;
      return { retryable: answer.retryable === true, reason };
    } catch (error) {
      return { retryable: true, reason: reasonOf(error) };
    }
  }

  /** @param {string} reason */
  #countError(reason) {
    const known = this.errors.has(reason) || this.errors.size < REASONS_MAX;
    const key = known ? reason : 'others';
    this.errors.set(key, (this.errors.get(key) ?? 0) + 1);
  }
}

/** `fetch` hides the reason in the cause. @param {unknown} error */
function reasonOf(error) {
  if (!(error instanceof Error)) return String(error);
  const cause = /** @type {{ code?: string, message?: string } | undefined} */ (error.cause);
  return cause?.code ?? cause?.message ?? error.message;
}
