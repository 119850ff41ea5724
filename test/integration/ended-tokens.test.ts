import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { revokeUser } from '../support/access.ts';
import { makeToken } from '../support/services.ts';
import {
  appendDirectly,
  metric,
  type System,
  series,
  startSystem,
  streamEvents,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 8.1: what was begun with a token is not gone on with once that has ended. */

/** More than the buffers of sockets and services take. */
const LARGE = series('ended.large', 1, 150).map((one) => ({ ...one, data: 'x'.repeat(200_000) }));

/** Of a token that is good for a request: the claim counts whole seconds and may cut one off. */
const BRIEF_SECONDS = 2;

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_GATEWAY_TOKEN_GRACE_MS: '20000' } });
});
afterAll(() => system.stop());

/** A request of which everything but the end of the body has been sent. */
async function begin(
  url: string,
  token: string,
  body: string,
): Promise<{ end(): Promise<string> }> {
  const { port, pathname } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    [
      `POST ${pathname} HTTP/1.1`,
      'Host: a',
      'Connection: close',
      'Content-Type: application/json',
      `Authorization: Bearer ${token}`,
      `Content-Length: ${body.length}`,
      '',
      body.slice(0, -1),
    ].join('\r\n'),
  );
  return {
    end: () => {
      socket.write(body.slice(-1));
      return text(socket);
    },
  };
}

async function storedTopics(): Promise<(string | undefined)[]> {
  return (await streamEvents(system.nats.url)).map(({ topic }) => topic);
}

describe('token that has expired, within the grace', () => {
  test('publish and subscribe: refused; a newer token: both are possible again', async () => {
    const scope = 'publish:ended.late subscribe:ended.late';
    const client = system.open({ token: await makeToken(scope, 'late', BRIEF_SECONDS) });
    client.send({ type: 'subscribe', id: 'early', topics: ['ended.late'] });
    await client.first('live', 'early');
    await sleep(BRIEF_SECONDS * 1000 + 100);
    const publish = (id: string) =>
      client.send({ type: 'publish', id, event: { type: 'ended.late', data: id } });
    publish('late');
    client.send({ type: 'subscribe', id: 'second', topics: ['ended.late'] });
    for (const id of ['late', 'second']) {
      const error = await client.first('error', id);
      expect(error).toMatchObject({ code: 'token_expired', retryable: true });
    }
    client.send({ type: 'authenticate', token: await makeToken(scope, 'late', 60) });
    await client.first('authenticated');
    publish('renewed');
    await client.first('published', 'renewed');
    await client.first('event');
    expect(client.all('event').map(({ event }) => event.data)).toEqual(['renewed']);
    await client.close();
  });
});

describe('body whose end comes after that of the token', () => {
  const event = JSON.stringify({ type: 'ended.slow', data: 1 });

  test('ingest, the token has expired: 401, nothing is stored', async () => {
    const token = await makeToken('publish:>', 'slow', BRIEF_SECONDS);
    const request = await begin(`${system.ingest.url}/v1/events`, token, event);
    await sleep(BRIEF_SECONDS * 1000 + 100);
    expect(await request.end()).toMatch(/^HTTP\/1\.1 401 [\s\S]*"code":"token_expired"/);
    expect(await storedTopics()).not.toContain('ended.slow');
  });

  test('ingest, the token was revoked: 401, nothing is stored', async () => {
    const token = await makeToken('publish:>', 'held');
    const request = await begin(`${system.ingest.url}/v1/events`, token, event);
    await sleep(100);
    await revokeUser(system, 'held');
    expect(await request.end()).toMatch(/^HTTP\/1\.1 401 [\s\S]*"code":"unauthenticated"/);
    expect(await storedTopics()).not.toContain('ended.slow');
  });

  test("admin call, the operator's token was revoked: 401, nothing happens", async () => {
    const url = `${system.gateway.url}/v1/admin/revocations`;
    const request = await begin(url, await makeToken('admin', 'sacked'), '{"sub":"victim"}');
    await sleep(100);
    await revokeUser(system, 'sacked');
    expect(await request.end()).toMatch(/^HTTP\/1\.1 401 /);
    const headers = { authorization: `Bearer ${await makeToken('subscribe:a', 'victim')}` };
    const stream = await fetch(`${system.gateway.url}/v1/sse?topics=a`, { headers });
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
  });
});

describe('export that is under way', () => {
  beforeAll(async () => {
    await appendDirectly(system.nats.url, LARGE);
    const { last } = await streamState(system.nats.url);
    await until(async () => (await metric(system.replay, 'projection_position')) >= last);
  });

  /** Asks for everything, and reads nothing yet. */
  function openExport(token: string): Socket {
    const socket = connect(system.replay.port, '127.0.0.1').on('error', () => {});
    socket.pause();
    const head = ['GET /v1/events?topics=ended.large HTTP/1.1', 'Host: a', 'Connection: close'];
    const more = ['Accept: application/x-ndjson', `Authorization: Bearer ${token}`];
    socket.write(`${[...head, ...more].join('\r\n')}\r\n\r\n`);
    return socket;
  }

  test.each([
    ['has expired', 'token_expired', () => sleep(BRIEF_SECONDS * 1000 + 100)],
    ['was revoked', 'unauthenticated', () => revokeUser(system, 'exporter')],
  ])('the token %s: its last line tells so', async (_, code, endToken) => {
    const [subject, seconds] =
      code === 'token_expired' ? ['brief', BRIEF_SECONDS] : ['exporter', 60];
    const socket = openExport(await makeToken('history:>', String(subject), Number(seconds)));
    await sleep(300);
    await endToken();
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(
      new RegExp(`\\{"complete":false,"next":"[^"]+","error":\\{"code":"${code}"`),
    );
    expect(answer.match(/"cursor"/g)?.length).toBeLessThan(LARGE.length);
  });
});

test('token: ends exactly with its grace, however seldom connections are looked at', async () => {
  const gateway = await system.startGateway({
    TIDEMARK_GATEWAY_TOKEN_GRACE_MS: '300',
    TIDEMARK_GATEWAY_HEARTBEAT_MS: '20000',
    TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS: '60000',
  });
  const token = await makeToken('subscribe:a', 'exact', 2);
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const client = system.open({ token, gateway: system.gateways.indexOf(gateway) });
  expect((await client.closed).code).toBe(4004);
  const lateMs = Date.now() - (exp * 1000 + 300);
  expect(lateMs).toBeGreaterThanOrEqual(0);
  expect(lateMs).toBeLessThan(500);
});
