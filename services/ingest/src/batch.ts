import {
  asTidemarkError,
  type CloudEvent,
  type EncodedEvent,
  type Fault,
  type PlainEvents,
  splitArray,
  TidemarkError,
  toEncoded,
} from '@tidemark/protocol';
import {
  openPlain,
  orInvalidJson,
  parseText,
  readEvent,
  readText,
  type SubmissionContext,
} from './event-input.ts';

/** Most faults that an answer about a batch lists. */
export const FAULTS_MAX = 100;

/** Time after which the next events of a batch are read in a step of their own. */
const STEP_MS = 5;

const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * Reads a batch.
 *
 * @throws TidemarkError that names what is wrong with any of its events
 */
export function readBatch(
  contentType: string | undefined,
  body: Buffer,
  context: SubmissionContext,
): Promise<EncodedEvent[]> {
  return collect(new BatchItems(contentType, body, context), context);
}

/** Where the events of a batch come from, one after the other. */
interface Items {
  /**
   * Reads the next item.
   *
   * @returns `undefined` at the end
   * @throws TidemarkError that tells what is wrong with the item; `invalid_json` also for what is wrong with the batch
   */
  next(): EncodedEvent | undefined;
}

/**
 * The items of a body with a JSON array. An item that is stored as it came takes a fifth of the time of others, so it is tried first. The first that is none has the whole body split into texts. What is wrong with the array as a whole is then
 * found before what is wrong with an item.
 */
class BatchItems implements Items {
  readonly #contentType: string | undefined;
  readonly #body: Buffer;
  readonly #context: SubmissionContext;
  readonly #plain: PlainEvents | undefined;
  #texts: readonly string[] | undefined;
  #index = 0;
  /** Where the item of that index begins, in bytes. */
  #at = 0;
  #ended = false;

  constructor(contentType: string | undefined, body: Buffer, context: SubmissionContext) {
    this.#contentType = contentType;
    this.#body = body;
    this.#context = context;
    const plain = openPlain(contentType, body, context);
    const start = plain?.blank(0) ?? 0;
    this.#at = start + 1;
    // A byte order mark would make the indexes of texts and bytes differ.
    this.#plain = body[start] === OPEN_ARRAY ? plain : undefined;
  }

  next(): EncodedEvent | undefined {
    if (this.#ended) return undefined;
    return this.#nextPlain() ?? this.#nextText();
  }

  #nextPlain(): EncodedEvent | undefined {
    const plain = this.#plain;
    if (!plain || this.#index === this.#context.batchEventsMax) return undefined;
    const event = plain.read(plain.blank(this.#at));
    if (!event) return undefined;
    const end = plain.blank(plain.end);
    const follows = this.#body[end];
    if (follows === CLOSE_ARRAY) this.#ended = plain.blank(end + 1) === this.#body.length;
    if (follows !== COMMA && !this.#ended) return undefined;
    this.#at = end + 1;
    this.#index++;
    return event;
  }

  #nextText(): EncodedEvent | undefined {
    if (!this.#texts) {
      // What is wrong with the array as a whole is told once, and not for each item that it might have.
      this.#ended = true;
      this.#texts = splitItems(readText(this.#contentType, this.#body), this.#context);
    }
    const text = this.#texts[this.#index];
    if (text === undefined) return undefined;
    const path = `[${this.#index}]`;
    this.#index++;
    this.#at += Buffer.byteLength(text) + 1;
    this.#ended = this.#index === this.#texts.length;
    return encodeItem(readEvent(parseText(text, { depth: 1, path }), this.#context, path), path);
  }
}

/**
 * Splits the text of a JSON array into those of its items.
 *
 * @throws TidemarkError for another text, and for more items than a batch may have
 */
export function splitItems(
  text: string,
  { batchEventsMax }: Pick<SubmissionContext, 'batchEventsMax'>,
): string[] {
  const items = orInvalidJson(() => splitArray(text, batchEventsMax));
  if (!items) {
    parseText(text, { depth: 1 });
    const faults = [{ path: '$', message: 'must be a JSON array' }];
    throw new TidemarkError('invalid_event', 'A batch must be a JSON array.', { faults });
  }
  requireCount(items.length, batchEventsMax);
  return items;
}

/** @throws TidemarkError `too_large` for more events than a batch may have */
export function requireCount(count: number, batchEventsMax: number): void {
  if (count <= batchEventsMax) return;
  throw new TidemarkError('too_large', `A batch may have at most ${batchEventsMax} events.`, {
    limit: 'batch_events',
  });
}

/**
 * Reads the texts of several events.
 *
 * @param read is given a text and its path
 * @throws TidemarkError that names what is wrong with any of them
 */
export function readAll(
  texts: readonly string[],
  context: Pick<SubmissionContext, 'runStep'>,
  read: (text: string, path: string) => CloudEvent,
): Promise<EncodedEvent[]> {
  let index = 0;
  const next = (): EncodedEvent | undefined => {
    const text = texts[index];
    if (text === undefined) return undefined;
    const path = `[${index++}]`;
    return encodeItem(read(text, path), path);
  };
  return collect({ next }, context);
}

/** Collects the events in steps of some milliseconds, until an answer could list no more faults. */
async function collect(
  items: Items,
  { runStep }: Pick<SubmissionContext, 'runStep'>,
): Promise<EncodedEvent[]> {
  const errors: TidemarkError[] = [];
  const events: EncodedEvent[] = [];
  let faults = 0;
  /** @returns whether there may be more */
  const collectNext = (): boolean => {
    try {
      const event = items.next();
      if (event) events.push(event);
      return event !== undefined;
    } catch (error) {
      const refusal = asTidemarkError(error);
      if (refusal.code === 'invalid_json') throw refusal;
      errors.push(refusal);
      faults += refusal.details.faults?.length ?? 1;
      return faults < FAULTS_MAX;
    }
  };
  const collectSome = (): boolean => {
    const endMs = performance.now() + STEP_MS;
    while (collectNext()) if (performance.now() >= endMs) return true;
    return false;
  };
  while (await runStep(collectSome));
  if (errors.length > 0) throw combine(errors);
  return events;
}

/** Encoding checks limits too: no event of a batch is stored before all of them are valid. */
function encodeItem(event: CloudEvent, path: string): EncodedEvent {
  try {
    return toEncoded(event);
  } catch (error) {
    const { code, message, limit } = asTidemarkError(error);
    const faults = [{ path, message }];
    throw new TidemarkError(code, `${path}: ${message}`, { faults, ...(limit && { limit }) });
  }
}

/** The error of a batch: code and text of the first error, and the faults of all. */
function combine(errors: readonly TidemarkError[]): TidemarkError {
  const [first] = errors;
  if (first === undefined || errors.length === 1) return first as TidemarkError;
  const faults: Fault[] = errors.flatMap(({ details }) => details.faults ?? []);
  const number = faults.length < FAULTS_MAX ? errors.length : `At least ${errors.length}`;
  return new TidemarkError(first.code, `${first.message} ${number} events are wrong.`, {
    faults: faults.slice(0, FAULTS_MAX),
    ...(first.limit && { limit: first.limit }),
  });
}
