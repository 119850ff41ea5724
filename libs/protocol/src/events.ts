import { z } from 'zod';
import {
  CONTROL,
  isPrintable,
  LONE_SURROGATE,
  MEDIA_TYPE,
  URI,
  URI_REFERENCE,
} from './attribute-texts.ts';
import { isTime } from './cursors.ts';
import { type Fault, TidemarkError } from './errors.ts';
import { isKeptNumber, stringifyExact } from './exact-json.ts';
import { TIME_JSON, TOPIC_JSON, withJson } from './schemas.ts';
import { isTopic, TOPIC_RULE } from './topics.ts';

/** Largest event, in bytes of its JSON in UTF-8, without the attributes that servers set. */
export const EVENT_BYTES_MAX = 256 * 1024;

/** Most bytes that the attributes that servers set may add to the largest event. */
export const ADDED_BYTES_MAX = 8 * 1024;

/** Largest `id`, `source` or `type`, in UTF-16 units. */
export const ATTRIBUTE_LENGTH_MAX = 1024;

/** Most extension attributes of one event, besides those that servers set. Each is checked. */
export const EXTENSIONS_MAX = 100;

/** Deepest nesting of `data`. Common JSON parsers fail somewhere between 64 and 1,000 levels. */
export const DATA_DEPTH_MAX = 64;

/** A CloudEvent 1.0 (PROTOCOL.md section 3). Attributes that are not listed are extensions. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly topic: string;
  readonly time?: string;
  /** When it expires (section 3.1). */
  readonly expires?: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly data?: unknown;
  readonly data_base64?: string;
  readonly publisher?: string;
  readonly traceparent?: string;
  readonly [extension: string]: unknown;
}

const ILL_FORMED = 'holds text that is not well-formed Unicode';
const EXTENSION_NAME = /^[a-z0-9]{1,64}$/;
/** What Azure Event Grid sends for no schema. It is no URI, and strict readers would refuse the event for it. */
const NO_SCHEMA = '#';

const text = z
  .string()
  .min(1, 'must not be empty')
  .refine((value) => !CONTROL.test(value), 'must hold no control characters')
  .refine((value) => !LONE_SURROGATE.test(value), 'must be well-formed Unicode');
const bounded = text.max(
  ATTRIBUTE_LENGTH_MAX,
  `must have at most ${ATTRIBUTE_LENGTH_MAX} characters`,
);
const base64 = z.base64('must be Base64');

const attributes = z.looseObject({
  specversion: z.literal('1.0', 'must be "1.0"'),
  id: bounded,
  source: bounded.regex(URI_REFERENCE, 'must be a URI reference'),
  type: bounded,
  topic: withJson(
    z.string().refine(isTopic, `must be a topic: ${TOPIC_RULE}`),
    TOPIC_JSON,
  ).optional(),
  time: withJson(z.string().refine(isTime, 'must be an RFC 3339 time'), TIME_JSON).optional(),
  expires: withJson(z.string().refine(isTime, 'must be an RFC 3339 time'), TIME_JSON).optional(),
  subject: text.optional(),
  datacontenttype: text.regex(MEDIA_TYPE, 'must be a media type').optional(),
  dataschema: text.regex(URI, 'must be an absolute URI').optional(),
  data_base64: base64.optional(),
});

/** What an extension attribute may hold. */
const EXTENSION_JSON = {
  anyOf: [
    { type: 'string' },
    { type: 'boolean' },
    { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  ],
};

/** A CloudEvent as JSON, as the documents of the services show it (PROTOCOL.md section 3). */
export const eventShape = attributes.extend({ data: z.unknown().optional() }).meta({
  id: 'CloudEvent',
  description:
    'A CloudEvent 1.0. Without `topic` the type is the topic. Attributes that are null count as absent.',
  propertyNames: { pattern: '^(?:data_base64|[a-z0-9]{1,64})$' },
  additionalProperties: EXTENSION_JSON,
});

/** An event that ingest completes: it may lack `id`, `source`, `time` and `specversion`. */
export const bareEventShape = eventShape
  .partial({ id: true, source: true, specversion: true })
  .meta({
    id: 'BareEvent',
    description: 'An event that may lack `id`, `source`, `time` and `specversion`.',
    propertyNames: { pattern: '^(?:data_base64|[a-z0-9]{1,64})$' },
    additionalProperties: EXTENSION_JSON,
  });

/**
 * The same rules as predicates. Every gateway checks every event of the stream. These take 0.5 µs, the
 * schema takes 3 to 5. The schema decides on events that these do not accept. A property test shows
 * that these accept nothing that the schema refuses.
 */
const QUICK: ReadonlyMap<string, (value: unknown) => boolean> = new Map<
  string,
  (value: unknown) => boolean
>([
  ['specversion', (value) => value === '1.0'],
  ['id', isBounded],
  ['source', (value) => isBounded(value) && URI_REFERENCE.test(value)],
  ['type', isBounded],
  ['topic', (value) => typeof value === 'string' && isTopic(value)],
  ['time', (value) => typeof value === 'string' && isTime(value)],
  ['expires', (value) => typeof value === 'string' && isTime(value)],
  ['subject', isBounded],
  ['datacontenttype', (value) => isBounded(value) && MEDIA_TYPE.test(value)],
  ['data', () => true],
]);

const NOT_EXTENSIONS = new Set([...Object.keys(attributes.shape), 'data']);

/** Attributes that servers add to accepted events, which must not make an event invalid or too large. */
const SET_BY_SERVERS = new Set(['topic', 'publisher', 'traceparent', 'tracestate']);

/** More attributes than any valid event has. */
export const ATTRIBUTES_MAX = NOT_EXTENSIONS.size + SET_BY_SERVERS.size + EXTENSIONS_MAX;

/**
 * Checks input against CloudEvents 1.0 and gives it its topic: the `topic` attribute, or else its
 * `type`. Attributes that are `null` count as absent (JSON format, section 2.2).
 *
 * @param path the event's path in the client's input, for the faults: `''`, `event`, `[3]`
 * @throws TidemarkError `invalid_event` with one fault for each thing that is wrong, or
 *   `invalid_topic` when the topic alone is
 */
export function parseEvent(input: unknown, path = ''): CloudEvent {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalid([{ path: path || '$', message: 'must be a JSON object' }]);
  }
  if (isPlainlyValid(input)) return input as CloudEvent;
  refuseManyAttributes(input, path);
  if (Object.keys(input).filter(isOwnExtension).length > EXTENSIONS_MAX) {
    throw tooManyAttributes(path);
  }
  const hasBase64 = ((input as { data_base64?: unknown }).data_base64 ?? null) !== null;
  const present = Object.fromEntries(
    Object.entries(input).filter(([name, value]) => {
      if (name === 'dataschema' && value === NO_SCHEMA) return false;
      // `null` is a value of `data`, unless the data is elsewhere.
      return value !== null || (name === 'data' && !hasBase64);
    }),
  );
  const parsed = attributes.safeParse(present);
  const faults: Fault[] = parsed.success
    ? []
    : parsed.error.issues.map((issue) => ({
        path: join(path, String(issue.path[0])),
        message: describe(issue, present),
      }));
  faults.push(...extensionFaults(present, path));
  if ('data' in present && 'data_base64' in present) {
    faults.push({
      path: join(path, 'data_base64'),
      message: 'must not be present together with data',
    });
  }
  if (faults.length > 0) throw invalid(faults);
  return withTopic(present as unknown as CloudEvent, path);
}

/**
 * Serializes an event as it is stored: JSON on one line, in UTF-8.
 *
 * @throws TidemarkError `too_large`, or `invalid_event` when `data` is nested too deeply, or holds a number
 *   or text that other readers of JSON refuse
 */
export function encodeEvent(event: CloudEvent): Uint8Array {
  const message = dataFault(event.data, DATA_DEPTH_MAX);
  if (message) throw invalid([{ path: 'data', message }]);
  const bytes = new TextEncoder().encode(stringifyExact(event));
  if (bytes.length > EVENT_BYTES_MAX) requireSize(event, bytes.length);
  return bytes;
}

/** The values that complete a bare JSON body. */
export interface EventDefaults {
  /** The publisher's subject, for `source`. */
  readonly publisher: string;
  /** Milliseconds since 1970, for `time`. */
  readonly nowMs: number;
  readonly newId: () => string;
}

/**
 * Adds to a bare JSON body the attributes that it lacks of `specversion`, `id`, `source` and `time`.
 * Input that is not an object is returned unchanged.
 *
 * @throws TidemarkError `invalid_event` for more attributes than an event may have
 * @example completeEvent({ type: 'order.paid', data: {} }, defaults)
 */
export function completeEvent(input: unknown, defaults: EventDefaults): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  refuseManyAttributes(input);
  return {
    specversion: '1.0',
    id: defaults.newId(),
    source: `/users/${encodeURIComponent(defaults.publisher)}`,
    time: new Date(defaults.nowMs).toISOString(),
    ...input,
  };
}

/**
 * Counts before anybody copies the attributes, which takes seven times as long.
 *
 * @throws TidemarkError `invalid_event`
 */
export function refuseManyAttributes(input: object, path = ''): void {
  let count = 0;
  for (const _ in input) if (++count > ATTRIBUTES_MAX) throw tooManyAttributes(path);
}

function tooManyAttributes(path: string): TidemarkError {
  const message = `must have at most ${EXTENSIONS_MAX} extension attributes`;
  return invalid([{ path: path || '$', message }]);
}

/** What servers add does not count, and so an event that its publisher may send stays valid. */
function requireSize(event: CloudEvent, bytes: number): void {
  const counted = Object.entries(event).filter(([name]) => !SET_BY_SERVERS.has(name));
  const own = new TextEncoder().encode(stringifyExact(Object.fromEntries(counted))).length;
  if (own <= EVENT_BYTES_MAX && bytes <= EVENT_BYTES_MAX + ADDED_BYTES_MAX) return;
  throw new TidemarkError(
    'too_large',
    `The event has ${own} bytes as JSON, and ${bytes} with its topic, publisher and trace; ` +
      `at most ${EVENT_BYTES_MAX} and ${EVENT_BYTES_MAX + ADDED_BYTES_MAX} are allowed.`,
    { limit: 'event_bytes' },
  );
}

function isPlainlyValid(event: object): boolean {
  const named = event as Readonly<Record<string, unknown>>;
  if (!named.specversion || !named.id || !named.source || !named.type || !named.topic) return false;
  let extensions = 0;
  for (const name in named) {
    const accepts = QUICK.get(name);
    if (!accepts && ++extensions > EXTENSIONS_MAX) return false;
    const value = named[name];
    if (accepts ? !accepts(value) : !isPlainExtension(name, value)) return false;
  }
  return true;
}

function isOwnExtension(name: string): boolean {
  return !NOT_EXTENSIONS.has(name) && !SET_BY_SERVERS.has(name);
}

function isPlainExtension(name: string, value: unknown): boolean {
  if (NOT_EXTENSIONS.has(name)) return false;
  return EXTENSION_NAME.test(name) && extensionFault(value) === undefined;
}

function isBounded(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= ATTRIBUTE_LENGTH_MAX &&
    isPrintable(value)
  );
}

function withTopic(event: CloudEvent, path: string): CloudEvent {
  if (event.topic !== undefined) return event;
  if (isTopic(event.type)) return { ...event, topic: event.type };
  const fault = { path: join(path, 'topic'), message: 'is missing, and the type is not a topic' };
  throw new TidemarkError('invalid_topic', `${fault.path} ${fault.message} (${TOPIC_RULE}).`, {
    faults: [fault],
  });
}

/**
 * What is wrong with `data` that was parsed as JSON. `1e999` was read as infinity there, which JSON has no
 * number for, and half of a surrogate pair can be escaped in JSON and not be sent in UTF-8.
 */
function dataFault(value: unknown, levels: number): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : ILL_FORMED;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? undefined : 'holds a number that is out of range';
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0 && isKeptNumber(value)) return undefined;
  if (levels === 0) return `is nested deeper than ${DATA_DEPTH_MAX} levels`;
  if (Array.isArray(value)) return firstFault(value, levels);
  return Object.keys(value).every((name) => name.isWellFormed())
    ? firstFault(Object.values(value), levels)
    : ILL_FORMED;
}

function firstFault(children: readonly unknown[], levels: number): string | undefined {
  for (const child of children) {
    const fault = dataFault(child, levels - 1);
    if (fault) return fault;
  }
  return undefined;
}

function extensionFaults(event: Record<string, unknown>, path: string): Fault[] {
  const faults: Fault[] = [];
  for (const [name, value] of Object.entries(event)) {
    if (NOT_EXTENSIONS.has(name)) continue;
    const message = EXTENSION_NAME.test(name)
      ? extensionFault(value)
      : 'is not an attribute name: lower-case letters and digits only';
    if (message) faults.push({ path: join(path, name), message });
  }
  return faults;
}

function extensionFault(value: unknown): string | undefined {
  if (typeof value === 'boolean') return undefined;
  if (typeof value === 'number') {
    return value === (value | 0) ? undefined : 'must be a 32-bit integer';
  }
  if (typeof value !== 'string') return 'must be a string, a boolean or an integer';
  if (CONTROL.test(value)) return 'must hold no control characters';
  return LONE_SURROGATE.test(value) ? 'must be well-formed Unicode' : undefined;
}

function describe(issue: z.core.$ZodIssue, event: Record<string, unknown>): string {
  const name = String(issue.path[0]);
  return name in event ? issue.message.replace(/^Invalid input: /, '') : 'is missing';
}

function invalid(faults: readonly Fault[]): TidemarkError {
  const [first] = faults;
  const more = faults.length > 1 ? `, and ${faults.length - 1} more` : '';
  return new TidemarkError('invalid_event', `${first?.path} ${first?.message}${more}.`, { faults });
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
