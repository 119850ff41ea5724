import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NATS_PASSWORD, startNatsServer } from '../support/nats-server.ts';
import { startService } from '../support/services.ts';
import { until } from '../support/until.ts';

/* The configuration files of infra/nats, and what services do with a NATS that is configured otherwise. */

const folder = fileURLToPath(new URL('../../infra/nats', import.meta.url));

describe('configuration of NATS', () => {
  const certificates = mkdtempSync(join(tmpdir(), 'tidemark-tls-'));
  const [cert, key] = [join(certificates, 'cert.pem'), join(certificates, 'key.pem')];

  beforeAll(() => {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', key, '-out', cert];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...subject, ...files], { stdio: 'ignore' });
  });

  afterAll(() => rmSync(certificates, { recursive: true }));

  const passwords = Object.fromEntries(
    ['INGEST', 'GATEWAY', 'REPLAY', 'OPERATOR'].map((name) => [
      `TIDEMARK_NATS_${name}_PASSWORD`,
      JSON.stringify(NATS_PASSWORD),
    ]),
  );

  function check(file: string, env: Record<string, string>) {
    const binary = process.env.TIDEMARK_NATS_SERVER_BIN || 'nats-server';
    return spawnSync(binary, ['-t', '-c', join(folder, file)], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    });
  }

  test('configuration files: each is what nats-server takes', () => {
    const tls = { TIDEMARK_NATS_TLS_CERT: cert, TIDEMARK_NATS_TLS_KEY: key };
    expect(check('nats-server.conf', {})).toMatchObject({ status: 0 });
    expect(check('embedded.conf', passwords)).toMatchObject({ status: 0 });
    expect(check('stack.conf', passwords)).toMatchObject({ status: 0 });
    const routes = {
      NATS_NAME: 'nats-1',
      TIDEMARK_NATS_ROUTE_PASSWORD: 'p1',
      TIDEMARK_NATS_ROUTES: '["nats://tidemark-route:p1@nats-1:6222"]',
    };
    expect(check('cluster.conf', { ...passwords, ...routes })).toMatchObject({ status: 0 });
    expect(check('cluster.conf', { ...passwords, NATS_NAME: 'nats-1' }).status).not.toBe(0);
    expect(check('secured.conf', { ...passwords, ...tls })).toMatchObject({ status: 0 });
  });

  test('secured configuration without a password: does not start', () => {
    const { TIDEMARK_NATS_REPLAY_PASSWORD, ...rest } = passwords;
    expect(TIDEMARK_NATS_REPLAY_PASSWORD).toBeDefined();
    const tls = { TIDEMARK_NATS_TLS_CERT: cert, TIDEMARK_NATS_TLS_KEY: key };
    const { status, stderr } = check('secured.conf', { ...rest, ...tls });
    expect(status).not.toBe(0);
    expect(stderr).toContain('TIDEMARK_NATS_REPLAY_PASSWORD');
  });

  test('server with TLS: a service with the authority is ready, one without is not', async () => {
    const config = `tls { cert_file: ${JSON.stringify(cert)}, key_file: ${JSON.stringify(key)} }`;
    const nats = await startNatsServer({ config });
    const natsUrl = nats.url.replace('nats://', 'tls://');
    const trusting = await startService('replay', { natsUrl, env: { TIDEMARK_NATS_TLS_CA: cert } });
    const wary = await startService('replay', { natsUrl, waitUntilReady: false });
    await until(() => wary.logs.some(({ reason }) => /certificate/.test(String(reason))));
    expect((await fetch(`${wary.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${trusting.url}/readyz`)).status).toBe(200);
    await Promise.all([trusting.stop(), wary.stop()]);
    await nats.stop();
  });

  test('wrong password: waits and says so, and is not ready', async () => {
    const nats = await startNatsServer();
    const env = { TIDEMARK_NATS_PASSWORD: 'another' };
    const service = await startService('ingest', { natsUrl: nats.url, env, waitUntilReady: false });
    await until(() => service.logs.some(({ reason }) => /authorization/i.test(String(reason))));
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    await service.stop();
    await nats.stop();
  });

  test('JetStream that ignores unknown fields: no service uses it, unless a setting allows it', async () => {
    const nats = await startNatsServer({ jetStream: 'strict: false' });
    const refusing = await startService('replay', { natsUrl: nats.url, waitUntilReady: false });
    await until(() => refusing.logs.some(({ reason }) => /strict: false/.test(String(reason))));
    expect((await fetch(`${refusing.url}/readyz`)).status).toBe(503);
    const env = { TIDEMARK_NATS_LENIENT: 'allow' };
    const allowing = await startService('replay', { natsUrl: nats.url, env });
    const ingest = await startService('ingest', { natsUrl: nats.url, waitUntilReady: false });
    await until(() => ingest.logs.some(({ reason }) => /strict: false/.test(String(reason))));
    await Promise.all([refusing.stop(), allowing.stop(), ingest.stop()]);
    await nats.stop();
  });
});
