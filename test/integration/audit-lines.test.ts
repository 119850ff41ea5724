import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { type LogLine, makeToken, type Service, startService } from '../support/services.ts';
import { until } from '../support/until.ts';

/* What operators do has lines of its own, which no flood of refused requests pushes out. */

const FLOOD = 2000;
const WRONG = 'wrong';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-audit-'));
const path = join(folder, 'audit.log');
let nats: NatsServer;
let replay: Service;
let gateway: Service;
beforeAll(async () => {
  nats = await startNatsServer();
  const natsUrl = nats.url;
  replay = await startService('replay', { natsUrl });
  gateway = await startService('gateway', {
    natsUrl,
    env: { TIDEMARK_AUDIT_LOG: path, TIDEMARK_TRUSTED_PROXIES: '127.0.0.1' },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await replay?.stop();
  await nats?.stop();
  rmSync(folder, { recursive: true });
});

async function call(route: string, token: string, body?: object): Promise<number> {
  const address = token === WRONG ? '203.0.113.1' : '203.0.113.2';
  const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': address };
  const content = body && { body: JSON.stringify(body) };
  return (await fetch(`${gateway.url}${route}`, { method: 'POST', headers, ...content })).status;
}

function audited(): LogLine[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

test('a flood of refused requests: some lines with their number; the acts of an operator are in a file of their own', async () => {
  const from = gateway.logs.length;
  for (let n = 0; n < FLOOD; n += 100) {
    await Promise.all(Array.from({ length: 100 }, () => call('/v1/tickets', WRONG)));
  }
  const operator = await makeToken('admin', 'operator');
  expect(await call('/v1/admin/revocations', operator, { sub: 'mallory' })).toBe(204);
  expect(await call('/v1/admin/disconnect', operator, { sub: 'eve' })).toBe(202);
  expect(await call('/v1/tickets', operator)).toBe(201);

  const lines = () => gateway.logs.slice(from).filter(({ code }) => code === 'unauthenticated');
  const told = () => lines().reduce((sum, { more }) => sum + Number(more ?? 1), 0);
  await until(() => told() >= 1000);
  expect(lines().length).toBeLessThan(100);

  await until(() => audited().length >= 4);
  expect(audited()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ msg: 'revoked', by: 'operator', service: 'gateway', audit: true }),
      expect.objectContaining({ msg: 'disconnecting', by: 'operator' }),
      expect.objectContaining({ msg: 'disconnected' }),
      expect.objectContaining({ msg: 'ticket issued to an operator', by: 'operator' }),
    ]),
  );
  expect(gateway.logs.filter(({ msg }) => msg === 'revoked')).toEqual([]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
