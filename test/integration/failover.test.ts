import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { listen, outline, TRANSPORTS } from '../support/clients.ts';
import { freePorts } from '../support/free-ports.ts';
import { startNatsServer } from '../support/nats-server.ts';
import { runOperator } from '../support/operator.ts';
import { Publisher } from '../support/publisher.ts';
import { makeToken, type ServiceName, startService } from '../support/services.ts';
import {
  epochOf,
  ids,
  metric,
  numbered,
  sequenceOf,
  series,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* The machine of the stream is gone for good, and a mirror on another one takes over. */

const TOPIC = 'moved';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

test('failover: a mirror is promoted: clients go on with their old cursors, and are told what it lacked', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-failover-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const database = join(folder, 'archive.db');
  const [leafPort = 0, gatewayPort = 0] = await freePorts(2);
  const { main, standby } = await startServers(leafPort);
  const [replay, ingest, gateway] = await Promise.all([
    start('replay', main.url),
    start('ingest', main.url),
    start('gateway', main.url),
  ]);
  // The archive of the standby follows the original until then.
  const standbyReplay = await start('replay', main.url, { TIDEMARK_REPLAY_DATABASE: database });
  const mirrored = await runOperator('mirror', ['--domain', 'main'], { NATS_URL: standby.url });
  expect(mirrored.output).toContain('TIDEMARK_EVENTS: follows the one in main');

  const token = await makeToken('subscribe:> publish:>');
  const publisher = new Publisher(ingest.url, token);
  const urls = [gateway.url, `http://127.0.0.1:${gatewayPort}`];
  const kept = await publisher.storeAll(series(TOPIC, 1, 20));
  await until(async () => (await streamState(standby.url)).last === 20, 'the mirror');
  const choice = { urls, token, topics: TOPIC };
  const connected = TRANSPORTS.map((one) => listen(one, { ...choice, after: 'earliest' }));
  cleanups.push(() => Promise.all(connected.map((listener) => listener.stop())));
  await until(async () => (await metric(standbyReplay, 'projection_position')) === 20);
  // Nothing at the standby knows of what follows.
  await Promise.all([standby.kill(), standbyReplay.kill()]);
  const lost = await publisher.storeAll(series(TOPIC, 21, 25));
  for (const listener of connected) await until(() => listener.ids.length === 25);

  await main.kill();
  await Promise.all([replay, ingest, gateway].map((service) => service.kill()));
  await standby.restart();
  const args = ['--archive', database];
  const promoted = await runOperator('promote', args, { NATS_URL: standby.url });
  expect(promoted.output).toContain('20 events up to 20');
  await standby.restart();
  const env = { TIDEMARK_GATEWAY_PORT: String(gatewayPort) };
  const [newReplay, newIngest] = await Promise.all([
    start('replay', standby.url, { TIDEMARK_REPLAY_DATABASE: database }),
    start('ingest', standby.url),
    start('gateway', standby.url, env),
  ]);
  const later = new Publisher(newIngest.url, token);
  // What the mirror has is known by its id there, too.
  const repeated = await later.store(numbered(TOPIC, 20));
  expect(repeated).toMatchObject({ duplicate: true });
  const next = await later.storeInOrder(series(TOPIC, 26, 30));
  expect(sequenceOf(next[0]?.cursor ?? '')).toBe(21);
  const to = `${epochOf(next[0]?.cursor)}-20`;
  const gap = { type: 'gap', from: lost.at(-1)?.cursor, to, reason: 'future' };
  for (const listener of connected) {
    await until(() => listener.ids.includes('30'));
    expect(outline(listener)).toEqual([...ids(1, 25), gap, ...ids(26, 30)]);
  }
  const behind = listen('websocket', { ...choice, after: kept[9]?.cursor ?? '' });
  cleanups.push(() => behind.stop());
  await until(() => behind.live);
  expect(outline(behind)).toEqual([...ids(11, 20), ...ids(26, 30)]);
  // Its cursor is the twenty-third, which names another event now.
  const beyond = listen('websocket', { ...choice, after: lost[2]?.cursor ?? '' });
  cleanups.push(() => beyond.stop());
  await until(() => beyond.live);
  expect(outline(beyond)).toEqual([{ ...gap, from: lost[2]?.cursor }, ...ids(26, 30)]);
  await until(async () => (await metric(newReplay, 'projection_position')) === 25);
}, 90_000);

async function startServers(leafPort: number) {
  const main = await startNatsServer({
    jetStream: 'domain: main',
    // As infra/README.md says: who comes as a leaf node is in the account of the streams.
    config: `leafnodes {
      listen: "127.0.0.1:${leafPort}"
      authorization { user: tidemark-leaf, password: leaf, account: TIDEMARK }
    }`,
  });
  cleanups.push(() => main.stop());
  const standby = await startNatsServer({
    jetStream: 'domain: standby',
    config: `leafnodes {
      remotes: [{ url: "nats://tidemark-leaf:leaf@127.0.0.1:${leafPort}", account: TIDEMARK }]
    }`,
  });
  cleanups.push(() => standby.stop());
  return { main, standby };
}

async function start(name: ServiceName, natsUrl: string, env: Record<string, string> = {}) {
  const service = await startService(name, {
    natsUrl,
    env: { TIDEMARK_GATEWAY_SSE_RETRY_MS: '50', TIDEMARK_GATEWAY_DRAIN_MS: '200', ...env },
  });
  cleanups.push(() => service.stop());
  return service;
}
