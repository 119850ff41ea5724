import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  connectUsers,
  FORBIDDEN,
  NATS_USERS,
  REVOCATIONS,
  type User,
} from '../support/nats-users.ts';
import { makeToken } from '../support/services.ts';
import { numbered, type System, series, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * What the users of infra/nats/users.conf may do at NATS. All integration tests run with these
 * permissions on; this one asks what they keep away.
 */

let system: System;
let connections: ReadonlyMap<User, NatsConnection>;

beforeAll(async () => {
  system = await startSystem({ gateways: 2 });
  connections = await connectUsers(system.nats.url);
});

afterAll(async () => {
  for (const connection of connections.values()) await connection.close();
  await system.stop();
});

function connectionOf(name: User): NatsConnection {
  return connections.get(name) as NatsConnection;
}

describe('permissions', () => {
  /** Whether NATS refuses the user to publish, as what happens at its next ping tells. */
  async function mayPublish(name: User, subject: string): Promise<boolean> {
    const connection = connectionOf(name);
    const violations = watchViolations(connection);
    connection.publish(subject, '{}');
    await connection.flush();
    await new Promise((resolve) => setTimeout(resolve, 20));
    // In the account of publishers, reserved topics are mapped to what nobody may publish to.
    const named = [`"${subject}"`, '"tidemark.refused.'];
    return !violations.stop().some((text) => named.some((name) => text.includes(name)));
  }

  async function maySubscribe(name: User, subject: string): Promise<boolean> {
    const connection = connectionOf(name);
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

  test.each(NATS_USERS)('%s: what is not its own: is refused', async (name) => {
    for (const subject of FORBIDDEN[name]) {
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

  test('bucket of an earlier version: consumers of it are limited, as far as the server can do so later', async () => {
    await withNats(system.nats.url, async (operator) => {
      const { streams } = await jetstreamManager(operator);
      const limited = { max_consumers: 1000, consumer_limits: { inactive_threshold: 5e9 } };
      const { config } = await streams.info(REVOCATIONS);
      expect(config).toMatchObject(limited);
      await streams.delete(REVOCATIONS);
      await streams.add({ ...config, max_consumers: -1, consumer_limits: {} });
      await streams.add({ name: 'other', subjects: ['other'], max_consumers: -1 });
      const able = await streams
        .update('other', { max_consumers: 9 } as object)
        .catch(() => undefined);
      await streams.delete('other');
      await system.replay.restart();
      const { config: upgraded } = await streams.info(REVOCATIONS);
      expect(upgraded).toMatchObject(able ? limited : { ...limited, max_consumers: -1 });
      await streams.delete(REVOCATIONS);
      await streams.add(config);
      for (const service of [system.replay, system.ingest, system.gateway]) await service.restart();
    });
  }, 30_000);

  test('ingest creates consumers without end: NATS keeps a thousand, for some seconds', async () => {
    await withNats(system.nats.url, async (operator) => {
      const { streams } = await jetstreamManager(operator);
      const read = () => streams.info(REVOCATIONS);
      const config = { ack_policy: 'none', deliver_policy: 'all' };
      const create = async (asked: object) => {
        const body = JSON.stringify({ stream_name: REVOCATIONS, config: { ...config, ...asked } });
        const subject = `tidemark.api.CONSUMER.CREATE.${REVOCATIONS}`;
        const answer = await connectionOf('ingest').request(subject, body, { timeout: 10_000 });
        return answer.json<{ error?: { description: string } }>().error?.description;
      };
      expect(await create({ inactive_threshold: 3600e9 })).toContain('exceeds system limit');
      const refused = new Set<string | undefined>();
      for (let round = 0; round < 11; round++) {
        const answers = await Promise.all(Array.from({ length: 100 }, () => create({})));
        for (const answer of answers) refused.add(answer);
      }
      expect(refused).toContain('maximum consumers limit reached');
      expect((await read()).state.consumer_count).toBeLessThanOrEqual(1000);
      await until(async () => (await read()).state.consumer_count < 10, 'unused consumers ended');
    });
    // Meanwhile services went on, and each that starts follows the revocations again.
    await system.ingest.restart();
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
