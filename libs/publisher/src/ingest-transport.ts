import { type Answer, readAnswer } from './answers.ts';
import { isTokenRefusal, offlineError, TidemarkPublisherError } from './errors.ts';
import { TokenKeeper } from './token-keeper.ts';
import type { Attempt, Transport } from './transport.ts';
import type { HttpPublisherOptions, Published } from './types.ts';

/** What ingest takes in one request if nobody configured it (PROTOCOL.md section 8.2). */
const EVENTS_MAX = 1000;
const BYTES_MAX = 1 << 20;
const REQUESTS_MAX = 8;
const ATTEMPT_MS = 10_000;
/** The answer to a batch of the longest ids is half of this. */
const ANSWER_BYTES_MAX = 8 << 20;

const SINGLE_TYPE = 'application/cloudevents+json';
const BATCH_TYPE = 'application/cloudevents-batch+json';

/** `POST /v1/events` at ingest (PROTOCOL.md section 10). */
export class IngestTransport implements Transport<Published> {
  readonly eventsMax: number;
  readonly bytesMax: number;
  readonly attemptsMax: number;
  readonly #url: string;
  readonly #attemptMs: number;
  readonly #tokens: TokenKeeper;

  /** @throws TypeError for a URL that is none */
  constructor(options: HttpPublisherOptions) {
    this.#url = `${new URL(options.url).href.replace(/\/+$/, '')}/v1/events`;
    this.#attemptMs = options.attemptMs ?? ATTEMPT_MS;
    this.attemptsMax = options.requestsMax ?? REQUESTS_MAX;
    this.eventsMax = options.requestEventsMax ?? EVENTS_MAX;
    this.bytesMax = options.requestBytesMax ?? BYTES_MAX;
    this.#tokens = new TokenKeeper(options.token);
  }

  /** A token that is refused is replaced, once. */
  async send(attempt: Attempt): Promise<readonly Published[]> {
    const token = await this.#tokens.get();
    try {
      return await this.#post(attempt, token);
    } catch (error) {
      if (!(error instanceof TidemarkPublisherError) || !isTokenRefusal(error)) throw error;
      if (this.#tokens.isFixed) throw error.code === 'token_expired' ? asFinal(error) : error;
      this.#tokens.refuse(token);
      return await this.#post(attempt, await this.#tokens.get());
    }
  }

  async #post(attempt: Attempt, token: string): Promise<readonly Published[]> {
    const { events } = attempt;
    const [first] = events;
    const isSingle = events.length === 1;
    // What is no header is a mistake, and no outage.
    const headers = new Headers({
      authorization: `Bearer ${token}`,
      'content-type': isSingle ? SINGLE_TYPE : BATCH_TYPE,
      // The spans of a batch have no single parent: each event names its own trace.
      ...(isSingle && first?.trace),
      ...condition(attempt.ifMatch),
    });
    const texts = events.map(({ json }) => json);
    const body = isSingle ? (first?.json ?? '') : `[${texts.join(',')}]`;
    return readAnswer(await this.#exchange(headers, body, attempt.signal), events.length);
  }

  async #exchange(headers: Headers, body: string, signal: AbortSignal): Promise<Answer> {
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, this.#attemptMs);
    if (signal.aborted) end();
    signal.addEventListener('abort', end);
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers,
        body,
        // A redirect would become a GET, whose answer says nothing about the event.
        redirect: 'manual',
        signal: ending.signal,
      });
      return { status: response.status, headers: response.headers, text: await readText(response) };
    } catch (cause) {
      const isLate = ending.signal.aborted && !signal.aborted;
      const why = isLate ? `did not answer within ${this.#attemptMs} ms` : 'cannot be reached';
      throw offlineError(`Ingest ${why}.`, cause);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
  }
}

/** @throws Error for an answer that is larger than any of ingest */
async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`The answer has over ${ANSWER_BYTES_MAX} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** A token that has expired stays expired where there is no function to ask for another one. */
function asFinal({ code, message }: TidemarkPublisherError): TidemarkPublisherError {
  return new TidemarkPublisherError({ code, message, retryable: false });
}

function condition(ifMatch: Attempt['ifMatch']): Record<string, string> {
  if (ifMatch === undefined) return {};
  if (ifMatch === null) return { 'if-none-match': '*' };
  const tags = [ifMatch].flat().map((cursor) => `"${cursor}"`);
  return { 'if-match': tags.join(', ') };
}
