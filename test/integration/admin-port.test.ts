import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, type Service, startService } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';

/* PROTOCOL.md section 13: each service may have an admin port. */

const NAMES = ['gateway', 'ingest', 'replay'] as const;

/** What these tests read of the documents. */
interface Documents {
  readonly paths: object;
  readonly channels: object;
}

let system: System;
const ports = new Map<string, number>();

beforeAll(async () => {
  const env: Record<string, string> = {};
  for (const name of NAMES) {
    const port = await freePort();
    ports.set(name, port);
    env[`TIDEMARK_${name.toUpperCase()}_ADMIN_PORT`] = String(port);
  }
  system = await startSystem({ env });
});

afterAll(() => system.stop());

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function service(name: string): Service {
  return { gateway: system.gateway, ingest: system.ingest, replay: system.replay }[name] as Service;
}

const adminUrl = (name: string) => `http://127.0.0.1:${ports.get(name)}`;

async function status(url: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, init);
  await response.body?.cancel();
  return response.status;
}

describe.each(NAMES)('admin port: %s', (name) => {
  test('metrics: are there without a token, and on the other port not at all', async () => {
    const text = await (await fetch(`${adminUrl(name)}/metrics`)).text();
    expect(text).toContain('tidemark_http_answers_total');
    expect(await status(`${service(name).url}/metrics`)).toBe(404);
  });

  test('health: is on both', async () => {
    for (const base of [adminUrl(name), service(name).url]) {
      expect(await status(`${base}/healthz`)).toBe(200);
      expect(await status(`${base}/readyz`)).toBe(200);
    }
  });

  test('documents: describe what is on their port, and nothing else', async () => {
    const read = async (base: string, kind: string): Promise<Documents> =>
      (await (await fetch(`${base}/${kind}.json`)).json()) as Documents;
    const isAdmin = (path: string) => path === '/metrics' || path.startsWith('/v1/admin/');
    const own = Object.keys((await read(service(name).url, 'openapi')).paths);
    expect(own.filter(isAdmin)).toEqual([]);
    const paths = Object.keys((await read(adminUrl(name), 'openapi')).paths);
    expect(paths).toContain('/metrics');
    // What a token permits is told where the console is.
    const common = name === 'gateway' ? ['/v1/me'] : [];
    expect(paths.filter((path) => path.startsWith('/v1/') && !isAdmin(path))).toEqual(common);
    expect((await read(adminUrl(name), 'asyncapi')).channels).toEqual({});
  });

  test('what is not for admin: is not on the admin port', async () => {
    const headers = { authorization: `Bearer ${system.token}` };
    for (const path of ['sse?topics=a', 'tickets', 'events', 'topics', 'ws']) {
      expect(await status(`${adminUrl(name)}/v1/${path}`, { headers })).toBe(404);
    }
  });
});

describe('admin calls', () => {
  const call = async (base: string, path: string, scope: string) => {
    const headers = { authorization: `Bearer ${await makeToken(scope)}` };
    const body = JSON.stringify({ sub: 'nobody' });
    return status(`${base}/v1/admin/${path}`, { method: 'POST', headers, body });
  };

  test.each([
    ['revocations', 204],
    ['disconnect', 202],
  ])('%s: on its port with scope admin, on the other not even with it', async (path, success) => {
    expect(await call(adminUrl('gateway'), path, 'admin')).toBe(success);
    expect(await call(adminUrl('gateway'), path, 'publish:>')).toBe(403);
    expect(await call(system.gateway.url, path, 'admin')).toBe(404);
  });

  test('port that is taken: the start ends with one clear line', async () => {
    const env = { TIDEMARK_INGEST_ADMIN_PORT: String(ports.get('ingest')) };
    const started = startService('ingest', { natsUrl: system.nats.url, env });
    await expect(started).rejects.toThrow(/127\.0\.0\.1:\d+ is in use by another process/);
  });
});
