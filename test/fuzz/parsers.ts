import { createVerifier, findTicket, findToken, parseScope } from '@tidemark/auth';
import { clientOf, parseProxies } from '@tidemark/http';
import {
  decodeStored,
  decodeUtf8,
  encodeEvent,
  formatCursor,
  fromSubject,
  isTopic,
  PlainEvents,
  parseClientMessage,
  parseCursor,
  parseEvent,
  parseExact,
  parsePatternList,
  parseStart,
  parseTopic,
  sseError,
  TidemarkError,
} from '@tidemark/protocol';
import fc from 'fast-check';
import { TEST_SECRET } from '../support/services.ts';
import { body, cursor, event, headerValue, message, text, topic } from './inputs.ts';
import { countOutcome, type Outcomes, type Surface } from './surface.ts';

const verifier = createVerifier({ secret: TEST_SECRET });
const proxies = parseProxies('127.0.0.1,10.0.0.0/8');

const part = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }).map((value) => encodePart(value)),
  fc
    .constantFrom(
      '{"alg":"none"}',
      '{"alg":"HS256"}',
      '{"alg":"HS256","crit":["x"]}',
      '{"alg":"RS256","jwk":{}}',
    )
    .map((json) => Buffer.from(json).toString('base64url')),
  fc
    .record({ sub: text, exp: fc.oneof(fc.integer(), text), scope: text })
    .map((claims) => encodePart(claims)),
  text,
);
const token = fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.'));

/** Each parses an input from outside. A TidemarkError is an answer, any other error a fault. */
const checks: readonly [
  name: string,
  property: (outcomes: Outcomes) => fc.IRawProperty<unknown>,
][] = [
  [
    'cursor',
    (outcomes) =>
      fc.property(cursor, (one) =>
        typed(outcomes, () => {
          const position = parseCursor(one);
          if (formatCursor(position) !== one) throw new Error('a cursor became another one');
        }),
      ),
  ],
  ['start', (outcomes) => fc.property(cursor, (one) => typed(outcomes, () => parseStart(one)))],
  [
    'topic',
    (outcomes) =>
      fc.property(topic, (one) =>
        typed(outcomes, () => {
          if (fromSubject(`tidemark.events.${parseTopic(one)}`) !== one)
            throw new Error('a topic became another one');
        }),
      ),
  ],
  [
    'patterns',
    (outcomes) => fc.property(topic, (one) => typed(outcomes, () => parsePatternList(one))),
  ],
  [
    'event',
    (outcomes) =>
      fc.property(event, (one) =>
        typed(outcomes, () => checkLine(encodeEvent(parseEvent(JSON.parse(JSON.stringify(one)))))),
      ),
  ],
  [
    'plain event',
    (outcomes) =>
      fc.property(fc.oneof(body, event.map(toBytes)), (one) =>
        typed(outcomes, () => checkPlain(Buffer.from(one))),
      ),
  ],
  [
    'message',
    (outcomes) =>
      fc.property(message, (one) =>
        typed(outcomes, () => {
          const parsed = parseClientMessage(one);
          if ('error' in parsed) throw parsed.error;
        }),
      ),
  ],
  [
    'stored',
    (outcomes) =>
      fc.property(
        body,
        fc.array(
          fc.tuple(
            fc.constantFrom('ce-specversion', 'ce-id', 'ce-type', 'ce-source', 'content-type'),
            headerValue,
          ),
        ),
        (payload, pairs) =>
          typed(outcomes, () => {
            const stored = decodeStored({
              topic: 'fuzz.a',
              payload,
              headers: new Map(pairs),
              trust: 'none',
            });
            if (stored.valid) checkLine(stored.json);
            else throw new TidemarkError('invalid_event', stored.reason);
          }),
      ),
  ],
  [
    'error text',
    () =>
      fc.property(text, (one) => {
        const frame = sseError(new TidemarkError('invalid_query', one).toBody());
        return /^event: error\ndata: [^\r\n]*\n\n$/.test(frame);
      }),
  ],
  [
    'scope',
    () =>
      fc.property(text, (one) => {
        const { grants } = parseScope(`subscribe:${one} ${one}`);
        return grants.every(({ pattern }) => isTopic(pattern.replaceAll(/[*>]/g, 'x')));
      }),
  ],
  [
    'token lookup',
    () =>
      fc.property(headerValue, (one) => {
        findToken(
          {
            headers: { authorization: one, cookie: one, 'sec-websocket-protocol': one },
            url: `/?access_token=${one}`,
          },
          { cookieName: 'tidemark' },
        );
        findTicket({ headers: {}, url: `/?ticket=${one}` });
      }),
  ],
  [
    'address',
    () =>
      fc.property(fc.oneof(headerValue, fc.ipV6(), fc.ipV4()), (one) => {
        const headers = { 'x-forwarded-for': `${one}, ${one}` };
        return clientOf({ headers, socket: { remoteAddress: '127.0.0.1' } }, proxies).length < 50;
      }),
  ],
  [
    'token',
    (outcomes) =>
      fc.asyncProperty(token, async (one) => {
        try {
          await verifier.verify(one);
        } catch (error) {
          countTyped(outcomes, error);
          return String(error).includes(one) ? one.length < 8 : true;
        }
        throw new Error('a made-up token was accepted');
      }),
  ],
];

/**
 * Every parser, called without a process around it, with `count` inputs each. A failure reports the
 * smallest input that breaks the parser.
 */
export const parsers: Surface = async ({ count, seed }) => {
  const outcomes: Outcomes = {};
  for (const [name, property] of checks) {
    await fc.assert(property(outcomes) as fc.IAsyncProperty<unknown>, { numRuns: count, seed });
    outcomes[`inputs of ${name}`] = count;
  }
  if (Object.hasOwn(Object.prototype, 'polluted') || 'admin' in {})
    throw new Error('a prototype was changed');
  return outcomes;
};

function toBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** What is read from the bytes of an event is what the slow path makes of it. */
function checkPlain(bytes: Buffer): void {
  const additions = { publisher: 'fuzz', nowMs: 0 };
  const reader = PlainEvents.of(bytes, additions);
  const plain = reader?.read(reader.blank(0));
  if (!plain || reader?.blank(reader.end) !== bytes.length) {
    throw new TidemarkError('invalid_event', 'Left to the slow path.');
  }
  const input = parseExact(bytes.toString()) as object;
  const slow = encodeEvent(parseEvent({ ...input, publisher: additions.publisher }));
  if (Buffer.compare(plain.json, slow) !== 0) throw new Error('an event became another one');
}

function typed(outcomes: Outcomes, parse: () => unknown): void {
  try {
    parse();
    countOutcome(outcomes, 'accepted');
  } catch (error) {
    countTyped(outcomes, error);
  }
}

function countTyped(outcomes: Outcomes, error: unknown): void {
  if (!(error instanceof TidemarkError) || error.code === 'internal') throw error;
  if (JSON.stringify(error.toBody()).length > 50_000) throw new Error('an error has no end');
  countOutcome(outcomes, error.code);
}

/** Checks that the bytes for one line of a stream are one line. */
function checkLine(bytes: Uint8Array): void {
  const line = decodeUtf8(bytes);
  if (/[\r\n\0]/.test(line)) throw new Error('an event is more than a line');
  parseEvent(JSON.parse(line));
}

function encodePart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
