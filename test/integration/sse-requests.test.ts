import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ids, numbered, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 7: the ways in which clients ask for a stream, and how its end is told. */

const TOPIC = 'asked';

let system: System;
let cursors: string[];
beforeAll(async () => {
  system = await startSystem();
  const stored = await system.publisher.storeAll(series(TOPIC, 1, 5));
  cursors = stored.map(({ cursor }) => cursor);
});
afterAll(() => system.stop());

interface Stream {
  readonly status: number;
  readonly text: () => string;
  /** How the body ended. */
  readonly end: Promise<'complete' | 'cut'>;
  readonly close: () => void;
}

interface Asked {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly url?: string;
}

async function open({
  path,
  headers = {},
  body,
  url = system.gateway.url,
}: Asked): Promise<Stream> {
  const request = httpRequest(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${system.token}`, ...headers },
    agent: false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  const end = new Promise<'complete' | 'cut'>((resolve) => {
    response.once('end', () => resolve('complete'));
    response.once('error', () => resolve('cut'));
  });
  return {
    status: response.statusCode ?? 0,
    text: () => text,
    end,
    close: () => request.destroy(),
  };
}

function idsIn(text: string): string[] {
  return [...text.matchAll(/^data: (\{"specversion.*)$/gm)].map(([, json]) => {
    return JSON.parse(json ?? '').id;
  });
}

async function expectEvents(stream: Stream, expected: readonly string[]): Promise<void> {
  await until(() => stream.text().includes('event: live'));
  expect(idsIn(stream.text())).toEqual(expected);
  stream.close();
}

describe('the cursor', () => {
  test.each(['lastEventId', 'lastEventID', 'Last-Event-ID'])(
    '%s in the query: as the header, and before after',
    async (name) => {
      const path = `/v1/sse?topics=${TOPIC}&after=earliest&${name}=${cursors[2]}`;
      await expectEvents(await open({ path }), ids(4, 5));
    },
  );

  test('the header: before the query', async () => {
    const path = `/v1/sse?topics=${TOPIC}&lastEventId=${cursors[2]}`;
    const headers = { 'last-event-id': cursors[3] ?? '' };
    await expectEvents(await open({ path, headers }), ids(5, 5));
  });
});

describe('POST', () => {
  test('with a JSON body: as many and as long patterns as the protocol allows', async () => {
    const long = Array.from({ length: 99 }, (_, index) => {
      return ['t'.repeat(190), String(index)].join('.').padEnd(200, 'x');
    });
    const body = JSON.stringify({ topics: [TOPIC, ...long], after: cursors[1] });
    await expectEvents(await open({ path: '/v1/sse', body }), ids(3, 5));
  });

  test('comes back with its cursor in the header: that counts', async () => {
    const body = JSON.stringify({ topics: [TOPIC], after: 'earliest' });
    const headers = { 'last-event-id': cursors[3] ?? '' };
    await expectEvents(await open({ path: '/v1/sse', body, headers }), ids(5, 5));
  });

  test('after: null: from now on', async () => {
    const body = JSON.stringify({ topics: [TOPIC], after: null });
    await expectEvents(await open({ path: '/v1/sse', body }), []);
  });
});

describe('the end', () => {
  test('the gateway is killed: an error; the gateway shuts down: an error event, and the end', async () => {
    const gateway = await system.startGateway();
    const path = `/v1/sse?topics=${TOPIC}`;
    const [cut, ended] = [await open({ path, url: gateway.url }), system.startGateway()];
    await until(() => cut.text().includes('event: live'));
    await gateway.kill('SIGKILL');
    expect(await cut.end).toBe('cut');

    const other = await ended;
    const drained = await open({ path, url: other.url });
    await until(() => drained.text().includes('event: live'));
    await other.kill('SIGTERM');
    expect(await drained.end).toBe('complete');
    expect(drained.text()).toMatch(/event: error\ndata: \{"code":"unavailable".*\n\n$/);
  });

  test('HTTP/1.0: no chunks; the body is the same', async () => {
    const socket = connect(system.gateway.port, '127.0.0.1');
    const target = `/v1/sse?topics=${TOPIC}&after=${cursors[2]}`;
    socket.write(`GET ${target} HTTP/1.0\r\nAuthorization: Bearer ${system.token}\r\n\r\n`);
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    await until(() => text.includes('event: live'));
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head).not.toMatch(/transfer-encoding/i);
    expect(body).not.toContain('\r');
    expect(idsIn(body)).toEqual(ids(4, 5));
    await system.publisher.store(numbered(TOPIC, 6));
    await until(() => idsIn(text.split('\r\n\r\n')[1] ?? '').includes('6'));
    socket.destroy();
  });
});

test('blocks: none without data, and retry stands in the first', async () => {
  const stream = await open({ path: `/v1/sse?topics=${TOPIC}` });
  await until(() => stream.text().includes('event: live'));
  stream.close();
  const blocks = stream.text().split('\n\n').slice(0, -1);
  expect(blocks[0]).toMatch(/^retry: \d+\nevent: position\ndata: \{"cursor":"(\S+)"\}\nid: \1$/);
  for (const block of blocks) expect(block).toMatch(/^data: /m);
});
