import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type System, startSystem } from '../support/system.ts';
import { refusedUpgrade } from './bare-sockets.ts';

/* A page whose name leads to 127.0.0.1 (DNS rebinding) is of the same origin as the services here. */

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_ALLOWED_HOSTS: '' } });
});
afterAll(() => system.stop());

const REBOUND = { host: 'evil.example:8080' };

function statusOf(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers }, (answer) => {
      answer.destroy();
      resolve(answer.statusCode);
    });
    asked.once('error', reject).end();
  });
}

test('request to a name that was rebound: 403 by every service, for every path', async () => {
  const token = { authorization: `Bearer ${system.token}` };
  for (const { url } of [system.gateway, system.ingest, system.replay]) {
    for (const path of ['/metrics', '/healthz', '/v1/events', '/nowhere']) {
      expect(await statusOf(url + path, { ...token, ...REBOUND }), path).toBe(403);
    }
    expect(await statusOf(`${url}/metrics`, { host: 'localhost' })).toBe(200);
  }
});

test('WebSocket to a name that was rebound: refused before the upgrade, whatever its token', async () => {
  const headers = { authorization: `Bearer ${system.token}`, ...REBOUND };
  const { status, body } = await refusedUpgrade(system.gateway, '/v1/ws', headers);
  expect({ status, body }).toMatchObject({ status: 403, body: { code: 'forbidden' } });
});
