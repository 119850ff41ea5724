import { once } from 'node:events';
import { connect } from 'node:net';
import type fc from 'fast-check';
import { ChunkDecoder } from '../support/chunks.ts';
import type { System } from '../support/system.ts';
import { blocks, codeOf, countOutcome, type Outcomes, type Surface, show } from './surface.ts';

const SOCKETS = 40;
const ANSWER_MS = 10_000;
/** How long a stream that does not end is read. */
const STREAM_MS = 30;

/** The bytes for one service, and the input that they were made from. */
export interface Letter {
  readonly service: 'gateway' | 'ingest' | 'replay';
  readonly bytes: Buffer;
  readonly input: unknown;
}

export interface Head {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly token: string;
}

/** Sends the requests of an arbitrary. Each must get a promised status and error, or a close. */
export function exchangeAll<T>(
  inputs: fc.Arbitrary<T>,
  write: (input: T, system: System) => Letter,
): Surface {
  return async (run) => {
    const outcomes: Outcomes = {};
    for (const block of blocks(inputs, run)) {
      const left = [...block];
      await Promise.all(
        Array.from({ length: SOCKETS }, async () => {
          for (let one = left.pop(); one !== undefined; one = left.pop()) {
            const letter = write(one, run.system);
            const answer = await exchange(run.system[letter.service].port, letter);
            countOutcome(outcomes, judge(answer, letter.input));
          }
        }),
      );
    }
    return outcomes;
  };
}

/** Writes a request from its parts, whether they fit together or not. */
export function writeRequest({ method, target, headers, token }: Head, body?: Uint8Array): Buffer {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: a',
    `Authorization: Bearer ${token}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body ? [`Content-Length: ${body.length}`] : []),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return body ? Buffer.concat([head, body]) : head;
}

async function exchange(port: number, { bytes }: Letter): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const received: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(), ANSWER_MS);
  const startMs = performance.now();
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk);
    if (received.length > 1) return;
    const goesOn = chunk.includes('text/event-stream') || chunk.includes('HTTP/1.1 101');
    if (goesOn) setTimeout(() => socket.destroy(), STREAM_MS);
  });
  socket.write(bytes);
  await once(socket, 'close');
  clearTimeout(timer);
  if (performance.now() - startMs >= ANSWER_MS) throw new Error(`no end of ${show(bytes)}`);
  return Buffer.concat(received).toString('latin1');
}

function judge(answer: string, input: unknown): string {
  if (answer === '') return 'closed';
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  if (!Number.isInteger(status) || status === 500)
    throw new Error(`${answer.slice(0, 300)} to ${show(input)}`);
  if (/\r\n(set-cookie|injected)/i.test(head)) throw new Error(`header injected: ${show(input)}`);
  const content = rest.join('\r\n\r\n');
  if (status >= 400 && content !== '')
    return `status ${status} ${codeOf(JSON.parse(content), input)}`;
  if (head.includes('text/event-stream')) {
    const isChunked = /\r\ntransfer-encoding: chunked/i.test(head);
    const bytes = Buffer.from(content, 'latin1');
    checkStream(isChunked ? new ChunkDecoder().decode(bytes).toString('latin1') : content, input);
  }
  return `status ${status}`;
}

/** Checks that every line is one that the gateway may write (PROTOCOL.md section 7). */
export function checkStream(stream: string, input: unknown): void {
  for (const line of stream.split('\n').slice(0, -1)) {
    if (
      /^(|:|retry: \d+|id: [a-z0-9.]+-\d+|event: (position|live|gap|error|skipped)|data: \{[^\r\n\0]*\})$/.test(
        line,
      )
    )
      continue;
    throw new Error(`a stream holds ${JSON.stringify(line)}: ${show(input)}`);
  }
}

export function encode(value: string): string {
  return [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
