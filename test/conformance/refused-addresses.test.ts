import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { limitHits, makeToken, type Service, startService } from '../support/services.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 8.2: addresses that bring wrong tokens or tickets. */

const REFUSALS = 5;

let nats: NatsServer;
const services: Service[] = [];
beforeAll(async () => {
  nats = await startNatsServer();
  const env = {
    TIDEMARK_TRUSTED_PROXIES: '127.0.0.1',
    TIDEMARK_HTTP_REFUSALS_PER_SECOND_MAX: String(REFUSALS),
  };
  for (const name of ['replay', 'ingest', 'gateway'] as const) {
    services.push(await startService(name, { natsUrl: nats.url, env }));
  }
});
afterAll(async () => {
  for (const service of services) await service.stop();
  await nats?.stop();
});

/** Something that needs a token, and nothing else that is right. */
const PATHS = {
  replay: '/v1/topics?limit=0',
  ingest: '/v1/events',
  gateway: '/v1/admin/disconnect',
};

async function ask({ name, url }: Service, address: string, token: string): Promise<Response> {
  return fetch(`${url}${PATHS[name]}`, {
    method: name === 'replay' ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': address },
  });
}

test('address with too many wrong tokens: 429 whatever the token, for a second; others are served', async () => {
  const token = await makeToken('history:> publish:> admin');
  for (const service of services) {
    const status = async (address: string, one: string) =>
      (await ask(service, address, one)).status;
    const right = await status('203.0.113.1', token);
    expect([400, 415]).toContain(right);
    let wrong = 0;
    await until(async () => {
      wrong++;
      return (await status('203.0.113.1', `wrong-${wrong}`)) === 429;
    });
    expect(wrong).toBeGreaterThan(REFUSALS);
    const refused = await ask(service, '203.0.113.1', token);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ code: 'limit_exceeded', retryable: true });
    expect(await status('203.0.113.2', token)).toBe(right);
    expect(await limitHits(service, 'refusals_per_second')).toBeGreaterThanOrEqual(2);
    await until(async () => (await status('203.0.113.1', token)) === right);
  }
});

test('right tokens from one address, as many as there are: none is refused', async () => {
  const [replay] = services;
  const token = await makeToken('history:>');
  for (let n = 0; n < 4 * REFUSALS; n++) {
    expect((await ask(replay as Service, '203.0.113.3', token)).status).toBe(400);
  }
});

/** The status of something that needs a token and has a right one. */
async function statusAt(gateway: Service, address: string): Promise<number> {
  return (await ask(gateway, address, await makeToken('admin'))).status;
}

test('wrong tickets from an address: count like wrong tokens; others are served', async () => {
  const gateway = services.at(-1) as Service;
  const right = await statusAt(gateway, '203.0.113.4');
  await until(async () => {
    const headers = { 'x-forwarded-for': '203.0.113.4' };
    const answer = await fetch(`${gateway.url}/v1/sse?topics=a&ticket=wrong`, { headers });
    await answer.body?.cancel();
    return (await statusAt(gateway, '203.0.113.4')) === 429;
  });
  expect(await statusAt(gateway, '203.0.113.5')).toBe(right);
});

test('wrong tokens over a connection: count for its address, which may not go on; others are served', async () => {
  const gateway = services.at(-1) as Service;
  const right = await statusAt(gateway, '203.0.113.6');
  const token = await makeToken('subscribe:>');
  const client = new WebSocketClient(gateway.url, {
    token,
    headers: { 'x-forwarded-for': '203.0.113.6' },
  });
  await client.first('welcome');
  for (let n = 1; n <= 2 * REFUSALS; n++) {
    client.send({ type: 'authenticate', token: `wrong-${n}` });
    await until(() => client.all('error').length === n);
  }
  expect(await statusAt(gateway, '203.0.113.6')).toBe(429);
  client.send({ type: 'authenticate', token });
  await until(() => client.all('error').at(-1)?.code === 'limit_exceeded');
  expect(await statusAt(gateway, '203.0.113.7')).toBe(right);
  await client.close();
});
