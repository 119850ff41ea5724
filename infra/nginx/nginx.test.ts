import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../../test/support/clients.ts';
import { freePorts } from '../../test/support/free-ports.ts';
import { metric, numbered, type System, startSystem } from '../../test/support/system.ts';
import { until } from '../../test/support/until.ts';

/*
 * Real traffic through a real nginx with the configuration that is shipped, except for addresses,
 * and for a timeout that a test would not wait for. Skipped where there is no nginx.
 */

const HAS_NGINX = spawnSync('nginx', ['-v']).status === 0;

/** Instead of a minute; the gateway's heartbeat is as much below it as it is in the original. */
const READ_TIMEOUT_S = 2;
const HEARTBEAT_MS = '500';

describe.skipIf(!HAS_NGINX)('nginx (needs nginx)', () => {
  let system: System;
  let proxy: Proxy;
  beforeAll(async () => {
    const env = { TIDEMARK_GATEWAY_HEARTBEAT_MS: HEARTBEAT_MS };
    system = await startSystem({ gateways: 2, env });
    proxy = await startProxy(system);
  });
  afterAll(async () => {
    await proxy?.stop();
    await system?.stop();
  });

  test('nginx -t: the configuration as it is shipped, plain and with TLS: is valid', () => {
    expect(proxy.check('')).toContain('test is successful');
    const [certificate, key] = [join(proxy.folder, 'c.pem'), join(proxy.folder, 'k.pem')];
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost'],
      ...['-keyout', key, '-out', certificate],
    ]);
    expect(made.status).toBe(0);
    const tls = proxy.withTls(certificate, key);
    expect(proxy.check(tls)).toContain('test is successful');
  });

  test('publishing and history on one path: each request finds its service', async () => {
    const headers = {
      authorization: `Bearer ${system.token}`,
      'content-type': 'application/json',
    };
    const body = JSON.stringify(numbered('proxied.http', 1));
    const stored = await fetch(`${proxy.url}/v1/events`, { method: 'POST', headers, body });
    expect(stored.status).toBe(201);
    const { cursor } = (await stored.json()) as { cursor: string };
    const one = await fetch(`${proxy.url}/v1/events/${cursor}`, { headers });
    expect(await one.json()).toMatchObject({ event: numbered('proxied.http', 1) });
    const page = await fetch(`${proxy.url}/v1/events?topics=proxied.http`, { headers });
    expect(((await page.json()) as { items: unknown[] }).items).toHaveLength(1);
  });

  test.each(['/metrics', '/readyz', '/v1/admin/revocations'])(
    '%s: is not for the outside',
    async (path) => {
      expect((await fetch(`${proxy.url}${path}`)).status).toBe(404);
    },
  );

  test.each(TRANSPORTS)(
    '%s: events arrive at once, and idle beyond the timeout it stays',
    async (transport) => {
      const topics = `proxied.${transport}`;
      const listener = system.listen(transport, { topics, urls: [proxy.url] });
      await until(() => listener.live);
      await system.publisher.store(numbered(topics, 1));
      await untilEvents(listener, 1);
      await sleep(READ_TIMEOUT_S * 1500);
      await system.publisher.store(numbered(topics, 2));
      await untilEvents(listener, 2);
      expect(listener.connections).toBe(1);
    },
  );

  test('the proxy restarts while events pass: clients resume at their cursors, each event once', async () => {
    const topics = 'proxied.restart';
    const listeners = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics, urls: [proxy.url] }),
    );
    for (const listener of listeners) await until(() => listener.live);
    for (let n = 1; n <= 30; n++) {
      if (n === 10) await proxy.restart();
      await system.publisher.store(numbered(topics, n));
    }
    for (const listener of listeners) {
      await untilEvents(listener, 30);
      expect(listener.ids).toEqual(Array.from({ length: 30 }, (_, index) => String(index + 1)));
      expect(listener.connections).toBeGreaterThan(1);
    }
  });

  test('least connections: eight clients: four at each gateway', async () => {
    const listeners = Array.from({ length: 8 }, () =>
      system.listen('websocket', { topics: 'proxied.spread', urls: [proxy.url] }),
    );
    const before = await Promise.all(
      system.gateways.map((one) => metric(one, 'gateway_connections')),
    );
    for (const listener of listeners) await until(() => listener.live);
    const after = await Promise.all(
      system.gateways.map((one) => metric(one, 'gateway_connections')),
    );
    expect(Math.abs((after[0] ?? 0) - (after[1] ?? 0))).toBeLessThanOrEqual(
      Math.max(1, Math.abs((before[0] ?? 0) - (before[1] ?? 0))),
    );
  });

  test('a token in the query: is in no line of the log', async () => {
    const url = `${proxy.url}/v1/sse?topics=proxied.log&access_token=${system.token}`;
    const controller = new AbortController();
    const response = await fetch(url, { signal: controller.signal });
    expect(response.status).toBe(200);
    controller.abort();
    await until(() => proxy.log().includes('/v1/sse 200'));
    expect(proxy.log()).not.toContain(system.token.slice(0, 20));
  });
});

interface Proxy {
  readonly url: string;
  readonly folder: string;
  log(): string;
  /** What `nginx -t` says, with another listen.conf where one is given. */
  check(listen: string): string;
  withTls(certificate: string, key: string): string;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

async function startProxy({ gateways, ingest, replay }: System): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-nginx-'));
  cpSync(import.meta.dirname, folder, { recursive: true });
  const [port] = await freePorts(1);
  const upstream = (name: string, ports: readonly number[], more = '') =>
    `upstream ${name} { ${more} ${ports.map((one) => `server 127.0.0.1:${one};`).join(' ')} }\n`;
  writeFileSync(
    join(folder, 'upstreams.conf'),
    upstream(
      'gateways',
      gateways.map((gateway) => gateway.port),
      'least_conn;',
    ) +
      upstream('ingest', [ingest.port]) +
      upstream('replay', [replay.port]),
  );
  const plain = `listen 127.0.0.1:${port};`;
  writeFileSync(join(folder, 'listen.conf'), plain);
  const replacements: readonly [RegExp | string, string][] = [
    [/60s/g, `${READ_TIMEOUT_S}s`],
    [/\/tmp\/nginx/g, join(folder, 'nginx')],
    // One worker: several count connections each for themselves.
    ['worker_processes auto', 'worker_processes 1'],
    ['/dev/stdout', join(folder, 'access.log')],
  ];
  const file = join(folder, 'nginx.conf');
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of replacements) text = text.replace(from, to);
  writeFileSync(file, text);
  const url = `http://127.0.0.1:${port}`;
  let child = await launch(file, url);
  return {
    url,
    folder,
    log: () => readFileSync(join(folder, 'access.log'), 'utf8'),
    check(listen) {
      if (listen) writeFileSync(join(folder, 'listen.conf'), listen);
      const { stderr } = spawnSync('nginx', ['-t', '-c', file]);
      writeFileSync(join(folder, 'listen.conf'), plain);
      return String(stderr);
    },
    withTls(certificate, key) {
      return readFileSync(join(folder, 'listen-tls.conf'), 'utf8')
        .replace('/run/secrets/tls_certificate', certificate)
        .replace('/run/secrets/tls_key', key);
    },
    async restart() {
      await end(child);
      child = await launch(file, url);
    },
    async stop() {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(file: string, url: string): Promise<ChildProcess> {
  const child = spawn('nginx', ['-c', file, '-g', 'daemon off;'], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  await until(async () => (await fetch(`${url}/healthz`).catch(() => undefined))?.ok ?? false);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
