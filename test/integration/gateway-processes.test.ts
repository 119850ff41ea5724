import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionList, Stats } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilRefusedEverywhere } from '../support/access.ts';
import { childrenOf } from '../support/children.ts';
import { TRANSPORTS } from '../support/clients.ts';
import { freePorts } from '../support/free-ports.ts';
import { freeze } from '../support/freeze.ts';
import { makeToken, type Service, startService } from '../support/services.ts';
import {
  metric,
  nameOf,
  namesOf,
  publishUntil,
  type System,
  series,
  startSystem,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* TIDEMARK_GATEWAY_PROCESSES: several processes behind one port are, for clients and operators, one gateway. */

const CLIENTS = 40;

let system: System;
let admin: string;

beforeAll(async () => {
  system = await startSystem({ gateways: 0 });
  admin = await makeToken('admin', 'operator');
});

afterAll(() => system.stop());

interface Started {
  readonly gateway: Service;
  readonly pids: readonly [number, number];
  readonly adminUrl: string;
  open(user?: string): Promise<WebSocketClient>;
  stop(): Promise<void>;
}

/** @param divided whether the kernel divides the connections; else the parent hands them on */
async function start(divided: boolean, env: Record<string, string> = {}): Promise<Started> {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const gateway = await startService('gateway', {
    natsUrl: system.nats.url,
    env: {
      TIDEMARK_GATEWAY_PROCESSES: '2',
      TIDEMARK_GATEWAY_PORT: divided ? String(port) : '0',
      TIDEMARK_GATEWAY_ADMIN_PORT: String(adminPort),
      TIDEMARK_GATEWAY_DRAIN_MS: '200',
      TIDEMARK_GATEWAY_SSE_RETRY_MS: '50',
      ...env,
    },
  });
  const [one = 0, two = 0] = childrenOf(gateway.pid);
  const clients: WebSocketClient[] = [];
  return {
    gateway,
    pids: [one, two],
    adminUrl: `http://127.0.0.1:${adminPort}`,
    async open(user = 'tester') {
      const token = await makeToken('subscribe:>', user);
      const client = new WebSocketClient(gateway.url, { token });
      clients.push(client);
      await Promise.race([client.first('welcome'), client.closed]);
      // For what one process counts to be known to the other.
      await sleep(50);
      return client;
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close()));
      await gateway.stop();
    },
  };
}

/** The value of a metric in each process. */
async function perProcess(url: string, name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const values: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const [, process, value] =
      new RegExp(`^${name}\\{.*process="(\\w+)".*\\} (\\S+)$`).exec(line) ?? [];
    if (process !== undefined) values[process] = (values[process] ?? 0) + Number(value);
  }
  return values;
}

/** Waits until so many processes are ready. */
async function untilReady({ adminUrl }: Started, count: number): Promise<void> {
  const ready = () => metric({ url: adminUrl }, 'processes_ready').catch(() => undefined);
  await until(async () => (await ready()) === count, `${count} processes`);
}

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const [outcome] = await Promise.race([
    once(socket, 'connect').then(() => ['open']),
    once(socket, 'error').then(() => ['refused']),
  ]).catch(() => ['refused']);
  socket.destroy();
  return outcome === 'refused';
}

describe.each([
  ['the kernel divides the connections', true],
  ['the parent hands them on', false],
])('two processes, %s', (_, divided) => {
  let started: Started;
  beforeAll(async () => {
    started = await start(divided);
  });
  afterAll(() => started.stop());

  test('clients: both processes have some, and each client receives exactly the stream', async () => {
    const topic = `spread.${divided}`;
    const listeners = Array.from({ length: CLIENTS }, (_, index) =>
      system.listen(index % 2 === 0 ? 'websocket' : 'sse', {
        topics: topic,
        urls: [started.gateway.url],
      }),
    );
    for (const listener of listeners) await until(() => listener.live);
    const connections = await perProcess(started.adminUrl, 'tidemark_gateway_connections');
    expect(connections).toEqual({ 1: expect.any(Number), 2: expect.any(Number) });
    expect(Math.min(...Object.values(connections))).toBeGreaterThan(0);
    expect((connections[1] ?? 0) + (connections[2] ?? 0)).toBe(CLIENTS);
    const stored = await system.publisher.storeAll(series(topic, 1, 50));
    for (const listener of listeners) {
      await until(() => listener.events.length === stored.length);
      expect(namesOf(listener)).toEqual(stored.map(nameOf));
    }
    await Promise.all(listeners.map((listener) => listener.stop()));
  });

  test('metrics: one scrape has the series of both and of the parent, each metric once', async () => {
    const text = await (await fetch(`${started.adminUrl}/metrics`)).text();
    const described = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name);
    expect(new Set(described).size).toBe(described.length);
    for (const process of ['1', '2', 'parent']) {
      expect(text).toContain(`process_cpu_seconds_total{service="gateway",process="${process}"}`);
    }
    // The series of a metric are side by side.
    const names = [...text.matchAll(/^(\w+)\{/gm)].map(([, name]) => name);
    const runs = names.filter((name, index) => name !== names[index - 1]);
    const ofHistograms = /_(bucket|sum|count)$/;
    const plain = runs.filter((name) => !ofHistograms.test(name ?? ''));
    expect(new Set(plain).size).toBe(plain.length);
    expect(await metric({ url: started.adminUrl }, 'processes')).toBe(2);
  });

  test('operators: figures, connections and revocations are those of both', async () => {
    const headers = { authorization: `Bearer ${admin}` };
    await until(async () => {
      const response = await fetch(`${started.adminUrl}/v1/admin/stats`, { headers });
      return ((await response.json()) as Stats).together.gateways === 2;
    }, 'two gateways');
    const clients = [];
    const sub = `rita-${divided}`;
    for (let n = 0; n < 10; n++) clients.push(await started.open(sub));
    const answer = await fetch(`${started.adminUrl}/v1/admin/connections?sub=${sub}`, { headers });
    const { items, complete } = (await answer.json()) as ConnectionList;
    expect({ complete, count: items.length }).toEqual({ complete: true, count: 10 });
    expect(new Set(items.map(({ gateway }) => gateway)).size).toBe(2);
    const revoked = await fetch(`${started.adminUrl}/v1/admin/revocations`, {
      ...{ method: 'POST', headers },
      body: JSON.stringify({ sub }),
    });
    expect(revoked.status).toBe(204);
    for (const client of clients) expect((await client.closed).code).toBe(4501);
    const { ingest, replay } = system;
    // Asked several times, because each request may come to either process.
    const gateways = Array.from({ length: 6 }, () => started.gateway);
    await untilRefusedEverywhere({ ingest, replay, gateways }, await makeToken('subscribe:>', sub));
  });

  test('one is killed: its clients come back and miss nothing, and it is started again', async () => {
    const topic = `killed.${divided}`;
    const listeners = TRANSPORTS.flatMap((transport) =>
      Array.from({ length: 6 }, () =>
        system.listen(transport, { topics: `${topic}.*`, urls: [started.gateway.url] }),
      ),
    );
    for (const listener of listeners) await until(() => listener.live);
    let done = false;
    const publishing = publishUntil(() => done, `${topic}.a`, system.publisher);
    await sleep(200);
    process.kill(started.pids[0], 'SIGKILL');
    await untilReady(started, 1);
    await until(() => listeners.some((one) => one.received.some(({ type }) => type === 'closed')));
    await untilReady(started, 2);
    expect(await metric({ url: started.adminUrl }, 'process_deaths_total')).toBe(1);
    done = true;
    const names = await publishing;
    for (const listener of listeners) {
      await until(() => listener.events.length >= names.length);
      expect(namesOf(listener)).toEqual(names);
      await listener.stop();
    }
  });

  test('one hangs: the metrics are those of the other, in time', async () => {
    const [, hanging = 0] = childrenOf(started.gateway.pid);
    await freeze(hanging);
    try {
      // Who answers is left to chance: the hanging one answers nothing.
      const answers = Array.from({ length: 12 }, async () => {
        const signal = AbortSignal.timeout(5000);
        const answer = await fetch(`${started.adminUrl}/metrics`, { signal }).catch(
          () => undefined,
        );
        return answer?.text().catch(() => undefined);
      });
      const texts = (await Promise.all(answers)).filter((text) => text !== undefined);
      expect(texts.length).toBeGreaterThan(0);
      for (const text of texts) {
        const heads = [...text.matchAll(/tidemark_gateway_head_sequence\{.*process="(\d)"/g)];
        expect(heads).toHaveLength(1);
      }
    } finally {
      process.kill(hanging, 'SIGCONT');
    }
  });

  test('told to end: every connection is closed as going away, and the exit code is 0', async () => {
    const clients = [];
    for (let n = 0; n < 10; n++) clients.push(await started.open());
    expect(await started.gateway.kill('SIGTERM')).toBe(0);
    for (const client of clients) expect((await client.closed).code).toBe(4000);
    expect(await refuses(started.gateway.port)).toBe(true);
  });
});

describe('limits of two processes are those of one', () => {
  let started: Started;
  beforeAll(async () => {
    started = await start(true, {
      TIDEMARK_GATEWAY_CONNECTIONS_MAX: '8',
      TIDEMARK_GATEWAY_CONNECTIONS_PER_USER_MAX: '5',
      TIDEMARK_GATEWAY_TICKETS_PER_SECOND_MAX: '6',
    });
  });
  afterAll(() => started.stop());

  /** Whether the connection was admitted. */
  const isOpen = ({ opened, socket }: WebSocketClient) => opened && socket.readyState === 1;

  test('connections of a user: no more than five, wherever they are; one ends, and one more may come', async () => {
    const clients = [];
    for (let n = 0; n < 12; n++) clients.push(await started.open('uma'));
    const open = clients.filter(isOpen);
    expect(open).toHaveLength(5);
    await open[0]?.close();
    await sleep(100);
    expect(isOpen(await started.open('uma'))).toBe(true);
    expect(isOpen(await started.open('uma'))).toBe(false);
    await Promise.all(clients.map((client) => client.close()));
    await until(async () => (await metric({ url: started.adminUrl }, 'gateway_connections')) <= 1);
  });

  test('connections: no more than eight, and those of a killed process no longer count', async () => {
    const clients: WebSocketClient[] = [];
    for (let n = 0; n < 20; n++) clients.push(await started.open(`user-${n}`));
    const held = clients.filter(isOpen).length;
    expect(held).toBeLessThanOrEqual(8);
    expect(held).toBeGreaterThanOrEqual(7);
    const [victim = 0] = childrenOf(started.gateway.pid);
    process.kill(victim, 'SIGKILL');
    await until(() => clients.filter(isOpen).length < held);
    await sleep(100);
    const free = held - clients.filter(isOpen).length;
    for (let n = 0; n < free; n++) {
      expect(isOpen(await started.open(`late-${n}`))).toBe(true);
    }
    await untilReady(started, 2);
    // The new one has been told what the other holds.
    const more = [];
    for (let n = 0; n < 12; n++) more.push(await started.open(`more-${n}`));
    const all = [...clients, ...more].filter(isOpen).length;
    expect(all).toBeLessThanOrEqual(8);
  });

  test('a rate: what is asked of both counts together', async () => {
    const headers = { authorization: `Bearer ${await makeToken('subscribe:>', 'rate')}` };
    const statuses = [];
    const beganMs = performance.now();
    for (let n = 0; n < 16; n++) {
      // A connection for each, so that both processes are asked.
      const answer = await fetch(`${started.gateway.url}/v1/tickets`, {
        ...{ method: 'POST', headers: { ...headers, connection: 'close' } },
      });
      statuses.push(answer.status);
      await sleep(25);
    }
    const seconds = Math.ceil((performance.now() - beganMs) / 1000);
    const given = statuses.filter((status) => status < 300).length;
    expect(statuses).toContain(429);
    // One may come to the other process before it has heard of the last.
    expect(given).toBeLessThanOrEqual(7 * seconds);
  });
});

describe('start and end', () => {
  const env = { TIDEMARK_GATEWAY_PROCESSES: '2' };
  const tryToStart = (more: Record<string, string>) =>
    startService('gateway', { natsUrl: system.nats.url, env: { ...env, ...more } }).then(
      async (gateway) => {
        await gateway.stop();
        return 'started';
      },
      (error: Error) => error.message,
    );

  test('the port is taken, by others or by a gateway of several processes: the start ends and says so', async () => {
    const { gateway, stop } = await start(true);
    const port = String(gateway.port);
    for (const processes of ['1', '2']) {
      const said = await tryToStart({
        TIDEMARK_GATEWAY_PORT: port,
        TIDEMARK_GATEWAY_PROCESSES: processes,
      });
      expect(said).toContain(`127.0.0.1:${port} is in use by another process`);
    }
    await stop();
  });

  test('a process that cannot start: the start ends, and one sentence says why', async () => {
    const said = await tryToStart({ TIDEMARK_TOKEN_PUBLIC_KEYS: '/nowhere.pem' });
    expect(said.match(/\/nowhere\.pem cannot be read/g)).toHaveLength(1);
  });

  test.each(['0', '65', 'many'])('%s processes: the start ends', async (text) => {
    expect(await tryToStart({ TIDEMARK_GATEWAY_PROCESSES: text })).toContain(
      'TIDEMARK_GATEWAY_PROCESSES must be `auto` or a whole number from 1 to 64',
    );
  });

  test('auto: as many as the machine has cores', async () => {
    expect(await tryToStart({ TIDEMARK_GATEWAY_PROCESSES: 'auto' })).toBe('started');
  });

  test('the parent is killed: the processes close their connections in order, and end', async () => {
    const { gateway, open, pids } = await start(true);
    const client = await open();
    process.kill(gateway.pid, 'SIGKILL');
    expect((await client.closed).code).toBe(4000);
    const isGone = (pid: number) => {
      try {
        return process.kill(pid, 0) && false;
      } catch {
        return true;
      }
    };
    await until(() => pids.every(isGone), 'the end of both');
  });
});
