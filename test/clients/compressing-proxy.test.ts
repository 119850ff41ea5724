import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createGunzip } from 'node:zlib';
import express, { type RequestHandler } from 'express';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HAS_NGINX, type Nginx, startNginx } from '../support/nginx.ts';
import {
  ids,
  numbered,
  type System,
  series,
  startSystem,
  storeArchived,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * Proxies that compress what passes hold a stream back, until they have enough of it for a block. Tidemark
 * tells them not to (PROTOCOL.md sections 7 and 11.1).
 */

/* Loaded at run time, so that the types of the repository check without the packages of this folder. */
const compression = createRequire(import.meta.url)('compression') as (options: {
  readonly filter?: () => boolean;
}) => RequestHandler;

/** The longest that a proxy may hold an event back. */
const AT_ONCE_MS = 3000;

const TOPIC = 'compressed';

let system: System;
beforeAll(async () => {
  system = await startSystem();
  await storeArchived(system, series(TOPIC, 1, 3));
});
afterAll(() => system.stop());

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

interface Answer {
  readonly head: IncomingMessage;
  text(): string;
  readonly end: Promise<unknown>;
}

/** Asks as browsers do, and inflates what comes as it comes. */
async function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const request = httpRequest(url, {
    agent: false,
    headers: { authorization: `Bearer ${system.token}`, 'accept-encoding': 'gzip', ...headers },
  }).end();
  const [head] = (await once(request, 'response')) as [IncomingMessage];
  const body = head.headers['content-encoding'] === 'gzip' ? head.pipe(createGunzip()) : head;
  let text = '';
  body.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  for (const stream of [head, body]) stream.on('error', () => {});
  return { head, text: () => text, end: new Promise((resolve) => body.once('end', resolve)) };
}

function idsIn(text: string): string[] {
  return [...text.matchAll(/^data: (\{"specversion.*)$/gm)].map(
    ([, json]) => JSON.parse(json ?? '').id,
  );
}

/** Everything that is there comes at once, and then each event. */
async function expectAtOnce(url: string): Promise<Answer> {
  const answer = await ask(`${url}/v1/sse?topics=${TOPIC}&after=earliest`);
  await until(() => answer.text().includes('event: live'), 'live', AT_ONCE_MS);
  const { length } = idsIn(answer.text());
  for (let n = 1; n <= 3; n++) {
    await system.publisher.store(numbered(TOPIC, length + n));
    await until(
      () => idsIn(answer.text()).length === length + n,
      `event ${length + n}`,
      AT_ONCE_MS,
    );
  }
  expect(idsIn(answer.text())).toEqual(ids(1, length + 3));
  return answer;
}

async function exportFrom(url: string): Promise<{ answer: Answer; lines: unknown[] }> {
  const path = `/v1/events?topics=${TOPIC}`;
  const answer = await ask(`${url}${path}`, { accept: 'application/x-ndjson' });
  await answer.end;
  const lines = answer.text().split('\n').slice(0, -1);
  return { answer, lines: lines.map((line) => JSON.parse(line)) };
}

describe('express with compression', () => {
  /** A reverse proxy as people write one. */
  async function startProxy(target: string, filter?: () => boolean): Promise<string> {
    const app = express();
    app.use(compression({ ...(filter && { filter }) }));
    app.use((request, response) => {
      const onward = httpRequest(`${target}${request.url}`, {
        method: request.method,
        headers: request.headers,
        agent: false,
      });
      onward.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('error', () => response.destroy()).pipe(response);
      });
      response.on('close', () => onward.destroy());
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
    const server: Server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stop = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('compresses other answers: the proxy is one that would', async () => {
    const proxy = await startProxy(system.gateway.url);
    const { head } = await ask(`${proxy}/metrics`);
    expect(head.headers['content-encoding']).toBe('gzip');
  });

  test('SSE: events arrive at once', async () => {
    const { head } = await expectAtOnce(await startProxy(system.gateway.url));
    expect(head.headers['content-encoding']).toBeUndefined();
  });

  test('export: a proxy that compresses every type leaves it alone', async () => {
    const { answer, lines } = await exportFrom(await startProxy(system.replay.url, () => true));
    expect(answer.head.headers['content-encoding']).toBeUndefined();
    expect(lines.at(-1)).toMatchObject({ complete: true });
  });
});

describe.skipIf(!HAS_NGINX && process.env.CI !== 'true')('nginx with gzip (needs nginx)', () => {
  async function startGzip(): Promise<Nginx> {
    const on = 'gzip on; gzip_types *; gzip_min_length 1;';
    const nginx = await startNginx(system, {
      changes: [
        ['gzip off;', on],
        ['location = /v1/events {', `location = /v1/events { ${on}`],
      ],
    });
    stop = () => nginx.stop();
    return nginx;
  }

  test('SSE: compressed all the same, and events arrive at once', async () => {
    const { head } = await expectAtOnce((await startGzip()).url);
    expect(head.headers['content-encoding']).toBe('gzip');
  });

  test('export: compressed all the same, and complete', async () => {
    const { answer, lines } = await exportFrom((await startGzip()).url);
    expect(answer.head.headers['content-encoding']).toBe('gzip');
    expect(lines.at(-1)).toMatchObject({ complete: true });
  });
});
