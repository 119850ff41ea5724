import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { body, cursor, headerValue, text, topic } from './inputs.ts';
import { blocks, codeOf, countOutcome, type Outcomes, type Surface, show } from './surface.ts';

const SOCKETS = 40;
const ANSWER_MS = 10_000;
/** A stream goes on until its reader has seen enough. */
const STREAM_MS = 30;

const query = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'topics',
        'after',
        'before',
        'from',
        'to',
        'type',
        'limit',
        'order',
        'deliver',
        'trace',
        'ticket',
        '__proto__',
        'x',
      ),
      fc.oneof(topic, cursor, text),
    ),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encode(value)}`).join('&'));

const target = fc.oneof(
  fc
    .tuple(fc.constantFrom('/v1/events', '/v1/topics', '/v1/sse', '/v1/ws', '/healthz'), query)
    .map(([path, rest]) => `${path}?${rest}`),
  cursor.map((one) => `/v1/events/${encode(one)}`),
  text.map((one) => `/${one.replace(/[^!-~]/g, '')}`),
  fc.constantFrom('*', '/v1/%', '/v1/events/%ff', '//', '/v1/../v1/events', 'http://a/v1/events'),
);

/** What the body of a request claims to be, rightly or wrongly. */
const claims = fc.constantFrom(
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
);

const headers = fc.array(
  fc.tuple(
    fc.constantFrom(
      'Content-Type',
      'Accept',
      'If-Match',
      'If-None-Match',
      'Last-Event-ID',
      'ce-id',
      'ce-type',
      'ce-source',
      'ce-specversion',
      'ce-__proto__',
      'Origin',
      'X-Forwarded-For',
      'traceparent',
      'Content-Encoding',
      'Cookie',
      'Upgrade',
    ),
    fc.oneof(
      fc.constantFrom(
        'application/json',
        'application/cloudevents+json',
        'application/cloudevents-batch+json',
        'gzip',
        '*',
      ),
      headerValue,
      cursor.map((one) => one.replace(/[\r\n\0]/g, ' ')),
    ),
  ),
  { maxLength: 6 },
);

const request = fc.record({
  service: fc.constantFrom('gateway' as const, 'ingest' as const, 'replay' as const),
  method: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('GET', 'POST') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'FOO', 'get', ''),
    },
  ),
  target: fc.oneof(
    { weight: 2, arbitrary: target },
    { weight: 1, arbitrary: fc.constant('/v1/events') },
  ),
  headers,
  claim: fc.option(claims, { freq: 5 }),
  body,
  /** Rubbish before or instead of a request. */
  raw: fc.oneof(
    { weight: 15, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
    { weight: 1, arbitrary: text.map((one) => Buffer.from(one)) },
  ),
  token: fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: headerValue },
  ),
});

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

/** Requests and what is none: each is answered with a promised status and error, or a close. */
export const httpRequests: Surface = async (run) => {
  const outcomes: Outcomes = {};
  for (const block of blocks(request, run)) {
    const left = [...block];
    await Promise.all(
      Array.from({ length: SOCKETS }, async () => {
        for (let one = left.pop(); one; one = left.pop()) {
          const { port } = run.system[one.service];
          countOutcome(outcomes, judge(await exchange(port, write(one, run.system.token)), one));
        }
      }),
    );
  }
  return outcomes;
};

function write(
  { method, target: path, headers: fields, claim, body: content, raw, token }: Request,
  valid: string,
): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: a',
    'Connection: close',
    `Authorization: Bearer ${token ?? valid}`,
    ...(claim === null ? [] : [`Content-Type: ${claim}`]),
    ...fields.map(([name, value]) => `${name}: ${value}`),
    ...(method === 'POST' ? [`Content-Length: ${content.length}`] : []),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return Buffer.concat([
    raw ?? Buffer.alloc(0),
    head,
    method === 'POST' ? content : Buffer.alloc(0),
  ]);
}

async function exchange(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const received: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(), ANSWER_MS);
  const startMs = performance.now();
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk);
    if (received.length === 1 && chunk.includes('text/event-stream')) {
      setTimeout(() => socket.destroy(), STREAM_MS);
    }
  });
  socket.write(bytes);
  await once(socket, 'close');
  clearTimeout(timer);
  if (performance.now() - startMs >= ANSWER_MS) throw new Error(`no end of ${show(bytes)}`);
  return Buffer.concat(received).toString('latin1');
}

function judge(answer: string, input: Request): string {
  if (answer === '') return 'closed';
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  if (!Number.isInteger(status) || status === 500)
    throw new Error(`${answer.slice(0, 300)} to ${show(input)}`);
  if (/\r\n(set-cookie|injected)/i.test(head)) throw new Error(`header injected: ${show(input)}`);
  const content = rest.join('\r\n\r\n');
  if (status >= 400 && content !== '')
    return `status ${status} ${codeOf(JSON.parse(content), input)}`;
  if (head.includes('text/event-stream')) checkStream(content, input);
  return `status ${status}`;
}

/** Every line is one of those that the gateway writes (PROTOCOL.md section 7). */
export function checkStream(stream: string, input: unknown): void {
  for (const line of stream.split('\n').slice(0, -1)) {
    if (
      /^(|:|retry: \d+|id: [a-z0-9.]+-\d+|event: (live|gap|error|skipped)|data: \{[^\r\n\0]*\})$/.test(
        line,
      )
    )
      continue;
    throw new Error(`a stream holds ${JSON.stringify(line)}: ${show(input)}`);
  }
}

function encode(value: string): string {
  return [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
