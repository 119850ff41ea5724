import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { makeToken, type Service, startService } from '../support/services.ts';

/* How a gateway serves the console. What the page does is in test/browser. */

const IS_BUILT = existsSync(
  fileURLToPath(new URL('../../console/dist/index.html', import.meta.url)),
);

let nats: NatsServer;
let replay: Service;
const gateways: Service[] = [];

beforeAll(async () => {
  nats = await startNatsServer();
  replay = await startService('replay', { natsUrl: nats.url });
});
afterAll(async () => {
  for (const service of [...gateways, replay]) await service.stop();
  await nats.stop();
});

async function startGateway(env: Readonly<Record<string, string>> = {}): Promise<Service> {
  const gateway = await startService('gateway', { natsUrl: nats.url, env });
  gateways.push(gateway);
  return gateway;
}

async function configurationAt(url: string): Promise<unknown> {
  return (await fetch(`${url}/console/configuration.json`)).json();
}

describe('console', () => {
  test('everything from one origin: nothing is configured', async () => {
    const { url } = await startGateway();
    expect(await configurationAt(url)).toEqual({
      ...{ version: expect.any(String), gateway: null, replay: null, traces: false },
    });
    const redirect = await fetch(`${url}/console`, { redirect: 'manual' });
    expect([redirect.status, redirect.headers.get('location')]).toEqual([308, '/console/']);
  });

  test('the page: is served with its policy; not built: 404 that says so', async () => {
    const env = {
      TIDEMARK_GATEWAY_CONSOLE_URL: 'https://events.example/base',
      TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: 'http://replay.example:8082',
      TIDEMARK_GATEWAY_JAEGER_URL: 'http://jaeger:16686',
    };
    const { url } = await startGateway(env);
    expect(await configurationAt(url)).toMatchObject({
      gateway: env.TIDEMARK_GATEWAY_CONSOLE_URL,
      replay: env.TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL,
      traces: true,
    });
    const page = await fetch(`${url}/console/`);
    if (!IS_BUILT) {
      expect(page.status).toBe(404);
      expect(await page.json()).toMatchObject({ message: expect.stringContaining('not built') });
      return;
    }
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toBe(
      [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self' https://events.example wss://events.example http://replay.example:8082 ws://replay.example:8082",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join('; '),
    );
    const assets = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)];
    expect(assets.length).toBeGreaterThan(0);
    for (const [, address = ''] of assets) {
      if (address.startsWith('data:')) continue;
      expect((await fetch(new URL(address, `${url}/console/`))).status).toBe(200);
    }
  });

  test('switched off: 404, and nothing tells of it', async () => {
    const { url } = await startGateway({ TIDEMARK_GATEWAY_CONSOLE: 'off' });
    for (const path of ['/console', '/console/', '/console/configuration.json']) {
      expect((await fetch(url + path, { redirect: 'manual' })).status).toBe(404);
    }
  });

  test('an admin port: the console is there, with what it calls, and not on the other port', async () => {
    const [port = 0] = await freePorts(1);
    const { url } = await startGateway({ TIDEMARK_GATEWAY_ADMIN_PORT: String(port) });
    const adminUrl = `http://127.0.0.1:${port}`;
    expect((await fetch(`${url}/console/configuration.json`)).status).toBe(404);
    expect(await configurationAt(adminUrl)).toMatchObject({ replay: null });
    const headers = { authorization: `Bearer ${await makeToken('admin', 'operator')}` };
    for (const path of ['/v1/me', '/v1/admin/stats', '/v1/admin/connections']) {
      expect((await fetch(adminUrl + path, { headers })).status).toBe(200);
    }
    expect((await fetch(`${url}/v1/me`, { headers })).status).toBe(200);
  });

  test.each([
    ['TIDEMARK_GATEWAY_CONSOLE_URL', 'gateway'],
    ['TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL', "http://a.example; script-src 'unsafe-inline'"],
    ['TIDEMARK_GATEWAY_JAEGER_URL', 'ftp://jaeger'],
    ['TIDEMARK_GATEWAY_JAEGER_PAGE', 'https://user:secret@jaeger.example'],
  ])('%s=%s: the gateway does not start', async (variable, value) => {
    const start = startService('gateway', { natsUrl: nats.url, env: { [variable]: value } });
    await expect(start).rejects.toThrow(variable);
  });
});
