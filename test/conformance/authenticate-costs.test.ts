import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { limitHits, makeToken, type Service, startService } from '../support/services.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 8.1: `authenticate` costs the user who sends it. */

const CONNECTIONS = 10;
/** Most that a connection may have. */
const SUBSCRIPTIONS = 10;
const PATTERNS = 100;
/** As many grants as a token has room for. None but the last covers what is subscribed to. */
const GRANTS = [...Array.from({ length: 600 }, (_, n) => `subscribe:a${n}.>`), 'subscribe:z.>'];
const VICTIM_MS_MAX = 250;

let nats: NatsServer;
let replay: Service;
let gateway: Service;
beforeAll(async () => {
  nats = await startNatsServer();
  replay = await startService('replay', { natsUrl: nats.url });
  gateway = await startService('gateway', { natsUrl: nats.url });
});
afterAll(async () => {
  await gateway?.stop();
  await replay?.stop();
  await nats?.stop();
});

const connect = (token: string) => new WebSocketClient(gateway.url, { token });

async function withSubscriptions(token: string): Promise<WebSocketClient> {
  const client = connect(token);
  for (let n = 0; n < SUBSCRIPTIONS; n++) {
    const topics = Array.from({ length: PATTERNS }, (_, index) => `z.t${n}.p${index}`);
    client.send({ type: 'subscribe', id: String(n), topics });
    await client.first('live', String(n));
  }
  return client;
}

test('authenticate in a loop, many patterns and grants: another user waits some milliseconds', async () => {
  const token = await makeToken(GRANTS.join(' '), 'attacker');
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => withSubscriptions(token)),
  );
  const victim = connect(await makeToken('subscribe:v', 'victim'));
  await victim.first('welcome');
  const pong = async (): Promise<number> => {
    const startMs = performance.now();
    const { length } = victim.messages;
    victim.send({ type: 'ping' });
    await until(() => victim.messages.length > length);
    return performance.now() - startMs;
  };
  await pong();
  for (const client of clients) {
    for (let n = 0; n < 20; n++) client.send({ type: 'authenticate', token });
  }
  const waits: number[] = [];
  for (let n = 0; n < 10; n++) waits.push(await pong());
  expect(Math.max(...waits)).toBeLessThan(VICTIM_MS_MAX);
  for (const client of clients) await client.first('authenticated');
  expect(await limitHits(gateway, 'authenticates')).toBeGreaterThan(0);
  for (const client of [...clients, victim]) await client.close();
});
