import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NATS_PASSWORD, startNatsServer } from '../support/nats-server.ts';
import { makeToken, type ServiceName, startService } from '../support/services.ts';
import { numbered, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * What the users of infra/nats/users.conf may do at NATS. All integration tests run with these
 * permissions on; this one asks what they keep away.
 */

const EVENTS = 'TIDEMARK_EVENTS';
const REVOCATIONS = 'KV_TIDEMARK_REVOCATIONS';
const TICKETS = 'KV_TIDEMARK_TICKETS';

const folder = fileURLToPath(new URL('../../infra/nats', import.meta.url));

describe('permissions', () => {
  let system: System;
  const connections = new Map<ServiceName, NatsConnection>();

  beforeAll(async () => {
    system = await startSystem({ gateways: 2 });
    for (const name of ['ingest', 'gateway', 'replay'] as const) {
      const user = `tidemark-${name}`;
      const inboxPrefix = `_INBOX.${user}`;
      const options = { servers: system.nats.url, user, pass: NATS_PASSWORD, inboxPrefix };
      connections.set(name, await connect(options));
    }
  });

  afterAll(async () => {
    for (const connection of connections.values()) await connection.close();
    await system.stop();
  });

  /** Whether NATS refuses the user to publish, as what happens at its next ping tells. */
  async function mayPublish(name: ServiceName, subject: string): Promise<boolean> {
    const connection = connections.get(name) as NatsConnection;
    const violations = watchViolations(connection);
    connection.publish(subject, '{}');
    await connection.flush();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return !violations.stop().some((text) => text.includes(`"${subject}"`));
  }

  async function maySubscribe(name: ServiceName, subject: string): Promise<boolean> {
    const connection = connections.get(name) as NatsConnection;
    let refused = false;
    const subscription = connection.subscribe(subject, {
      callback: (error) => {
        if (error) refused = true;
      },
    });
    await connection.flush();
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (!subscription.isClosed()) subscription.unsubscribe();
    return !refused;
  }

  const deletions = [EVENTS, REVOCATIONS, TICKETS].flatMap((stream) => [
    `$JS.API.STREAM.DELETE.${stream}`,
    `$JS.API.STREAM.PURGE.${stream}`,
    `$JS.API.STREAM.MSG.DELETE.${stream}`,
  ]);
  const ownership = [EVENTS, REVOCATIONS, TICKETS].flatMap((stream) => [
    `$JS.API.STREAM.CREATE.${stream}`,
    `$JS.API.STREAM.UPDATE.${stream}`,
  ]);
  const forbidden: readonly [ServiceName, readonly string[]][] = [
    [
      'ingest',
      [
        ...deletions,
        ...ownership,
        '$KV.TIDEMARK_REVOCATIONS.sub.x',
        '$KV.TIDEMARK_TICKETS.x',
        `$JS.API.STREAM.MSG.GET.${TICKETS}`,
        'tidemark.control.disconnect',
        'tidemark.archive.read',
        'tidemark.archive.read.x',
        'tidemark.archives.announce',
        'tidemark.archives.census',
      ],
    ],
    [
      'gateway',
      [
        ...deletions,
        ...ownership,
        '$JS.API.STREAM.CREATE.OTHER',
        // Readers believe what is announced here.
        'tidemark.archives.announce',
      ],
    ],
    [
      'replay',
      [
        ...deletions,
        'tidemark.events.forged',
        '$KV.TIDEMARK_REVOCATIONS.sub.x',
        '$KV.TIDEMARK_TICKETS.x',
        `$JS.API.STREAM.MSG.GET.${TICKETS}`,
        'tidemark.control.disconnect',
        '$JS.API.STREAM.CREATE.OTHER',
      ],
    ],
  ];

  test.each(forbidden)('%s: what is not its own: is refused', async (name, subjects) => {
    for (const subject of [...subjects, '$SYS.REQ.SERVER.PING', '_INBOX.other.x', 'any.thing']) {
      expect(await mayPublish(name, subject), subject).toBe(false);
    }
    const foreign = ['>', 'tidemark.events.>', '_INBOX.>', '$KV.>', '$JS.API.>'];
    for (const subject of foreign) {
      expect(await maySubscribe(name, subject), subject).toBe(false);
    }
  });

  test('each user: its own inbox and no other', async () => {
    for (const subject of ['tidemark.archive.read.x', 'tidemark.archives.census']) {
      expect(await mayPublish('gateway', subject)).toBe(true);
    }
    expect(await maySubscribe('gateway', 'tidemark.archives.announce')).toBe(true);
    expect(await maySubscribe('gateway', 'tidemark.archive.*.*')).toBe(false);
    for (const name of connections.keys()) {
      expect(await maySubscribe(name, `_INBOX.tidemark-${name}.x`)).toBe(true);
    }
    expect(await maySubscribe('ingest', '_INBOX.tidemark-gateway.>')).toBe(false);
    expect(await maySubscribe('gateway', '_INBOX.tidemark-replay.>')).toBe(false);
  });

  test('everything that services do: NATS refuses none of it', async () => {
    const admin = { authorization: `Bearer ${await makeToken('admin')}` };
    const stored = await system.publisher.storeAll(series('permitted', 1, 20));
    const listener = system.listen('sse', { topics: 'permitted', after: 'earliest' });
    const timed = system.listen('websocket', {
      topics: 'permitted',
      after: '2000-01-01T00:00:00Z',
    });
    await until(() => listener.ids.includes('20') && timed.ids.includes('20'));
    const headers = { authorization: `Bearer ${system.token}` };
    const ticket = await fetch(`${system.gateway.url}/v1/tickets`, { method: 'POST', headers });
    expect(ticket.status).toBe(201);
    for (const body of [{ sub: 'x' }, { sub: 'x', issuedBefore: '2020-01-01T00:00:00Z' }]) {
      for (const method of ['POST', 'DELETE']) {
        const url = `${system.gateway.url}/v1/admin/revocations`;
        const answer = await fetch(url, { method, headers: admin, body: JSON.stringify(body) });
        expect(answer.status).toBe(204);
      }
    }
    const conditional = await fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: {
        ...headers,
        'if-match': `"${stored[0]?.cursor}"`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(numbered('permitted', 21)),
    });
    // What the topic's last event is was asked of the stream.
    expect(conditional.status).toBe(412);
    const history = `${system.replay.url}/v1/events?topics=permitted&limit=5`;
    expect((await fetch(history, { headers })).status).toBe(200);
    await system.nats.kill();
    await system.nats.restart();
    await system.publisher.store(numbered('permitted', 22));
    await until(() => listener.ids.includes('22') && timed.ids.includes('22'));
    for (const service of [...system.gateways, system.ingest, system.replay]) {
      const refused = service.logs.filter((line) => /permission/i.test(JSON.stringify(line)));
      expect(refused).toEqual([]);
    }
  });
});

/** Collects what NATS complains about. */
function watchViolations(connection: NatsConnection): { stop(): string[] } {
  const texts: string[] = [];
  const statuses = connection.status();
  void (async () => {
    for await (const status of statuses) {
      if (status.type === 'error') texts.push(status.error.message);
    }
  })();
  return {
    stop() {
      (statuses as unknown as { stop(): void }).stop();
      return texts;
    },
  };
}

describe('TLS', () => {
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
});
