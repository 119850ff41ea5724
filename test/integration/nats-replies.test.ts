import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { revokeUser, untilRefusedEverywhere } from '../support/access.ts';
import {
  connectUsers,
  EVENTS,
  FORBIDDEN,
  REVOCATIONS,
  TICKETS,
  type User,
} from '../support/nats-users.ts';
import { makeToken } from '../support/services.ts';
import { metric, type System, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * NATS sends an answer to whatever subject the request names, whether its sender may publish there or not.
 * Each user names each subject that it may not publish to.
 */

const SCOPE = 'publish:> subscribe:> history:>';

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

type Request = readonly [subject: string, body: string];

/** What the user may ask NATS for, or another service. */
function requestsOf(name: User): readonly Request[] {
  if (name === 'publisher') return [['tidemark.events.direct.x', '{}']];
  const api = name === 'ingest' ? 'tidemark.api' : '$JS.API';
  const asking: Request[] = [
    [`${api}.STREAM.INFO.${EVENTS}`, ''],
    [`${api}.STREAM.MSG.GET.${EVENTS}`, '{"last_by_subj":">"}'],
    consumerRequest(api, { ack_policy: 'none' }),
  ];
  const own: Request =
    name === 'replay' ? ['tidemark.archive.state.x', ''] : ['tidemark.events.any', '{}'];
  return [...asking, own];
}

/** Of the revocations. */
function consumerRequest(api: string, config: object): Request {
  const body = { stream_name: REVOCATIONS, config: { deliver_policy: 'all', ...config } };
  return [`${api}.CONSUMER.CREATE.${REVOCATIONS}`, JSON.stringify(body)];
}

/** Sends each request with each forbidden subject as its reply. @returns what arrived there */
async function askWithReplies(name: User, requests = requestsOf(name)): Promise<string[]> {
  const connection = connectionOf(name);
  const arrived = new Set<string>();
  await withNats(system.nats.url, async (operator) => {
    operator.subscribe('>', {
      callback(_, message) {
        // Services ask and announce by themselves; these are answers of JetStream.
        if (/^\{"(stream|type|error)"/.test(message.string())) arrived.add(message.subject);
      },
    });
    await operator.flush();
    for (const reply of FORBIDDEN[name]) {
      for (const [subject, body] of requests) connection.publish(subject, body, { reply });
    }
    await connection.flush();
    await new Promise((resolve) => setTimeout(resolve, 500));
  });
  return FORBIDDEN[name].filter((subject) => arrived.has(subject));
}

/** What the streams are, and how far they reach. A deleted one is missing, a purged one begins later. */
function streams(names = [EVENTS, REVOCATIONS, TICKETS]) {
  return withNats(system.nats.url, async (operator) => {
    const manager = await jetstreamManager(operator);
    const found = await Promise.all(names.map((name) => manager.streams.info(name)));
    return found.map(({ config, created, state }) => ({
      ...{ config, created, first: Math.max(state.first_seq, 1) },
      // No answer may be taken for the request to delete a message.
      deleted: state.num_deleted ?? 0,
      ...(config.name !== EVENTS && { last: state.last_seq }),
    }));
  });
}

test.each(['publisher', 'ingest'] as const)(
  '%s: its answers: reach no subject outside its account',
  async (name) => {
    await revokeUser(system, 'mallory');
    const before = await streams();
    expect(await askWithReplies(name)).toEqual([]);
    expect(await streams()).toEqual(before);
  },
);

test('ingest: what it lets a consumer send: changes nothing', async () => {
  await revokeUser(system, 'mallory');
  const before = await streams();
  const ingest = connectionOf('ingest');
  const [subject, body] = consumerRequest('tidemark.api', { ack_policy: 'none' });
  const consumer = (await ingest.request(subject, body)).json<{ name: string }>().name;
  const next = `tidemark.api.CONSUMER.MSG.NEXT.${REVOCATIONS}.${consumer}`;
  await askWithReplies('ingest', [[next, '{"batch":1}']]);
  for (const deliver_subject of FORBIDDEN.ingest) {
    const pushing = consumerRequest('tidemark.api', { ack_policy: 'none', deliver_subject });
    await ingest.request(...pushing);
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await streams()).toEqual(before);
});

test.each(['gateway', 'replay'] as const)(
  '%s: its answers: change no stream, and lift no revocation',
  async (name) => {
    await revokeUser(system, 'mallory');
    const before = await streams([EVENTS]);
    const buckets = await streams([REVOCATIONS, TICKETS]);
    await askWithReplies(name);
    expect(await streams([EVENTS])).toEqual(before);
    // An answer may have replaced a record. That still revokes, because it is not sealed.
    const configurations = buckets.map(({ config, created }) => ({ config, created }));
    expect(await streams([REVOCATIONS, TICKETS])).toMatchObject(configurations);
    const services = [system.replay, system.ingest, ...system.gateways];
    await Promise.all(services.map((one) => one.restart()));
    await untilRefusedEverywhere(system, await makeToken(SCOPE, 'mallory'));
    expect(await metric(system.gateway, 'gateway_archives')).toBe(1);
  },
);

test('gateway: what it lets a consumer send: deletes no stream, and is no announcement', async () => {
  const before = await streams();
  const gateway = connectionOf('gateway');
  const announced = await withNats(system.nats.url, async (operator) => {
    for await (const message of operator.subscribe('tidemark.archives.announce')) {
      return message.json<object>();
    }
    return {};
  });
  const forged = JSON.stringify({ ...announced, instance: 'forged', archive: 'forged' });
  for (const [payload, replies] of [
    ['', FORBIDDEN.gateway],
    ['{"seq":1}', [`$JS.API.STREAM.MSG.DELETE.${EVENTS}`]],
    [forged, ['tidemark.archives.announce']],
  ] as const) {
    const { seq } = await jetstream(gateway).publish('tidemark.events.any', payload);
    for (const reply of replies) {
      const config = {
        ack_policy: 'none',
        deliver_policy: 'by_start_sequence',
        opt_start_seq: seq,
      };
      const create = (more: object) =>
        gateway.request(
          `$JS.API.CONSUMER.CREATE.${EVENTS}`,
          JSON.stringify({ stream_name: EVENTS, config: { ...config, ...more } }),
        );
      const { name } = (await create({})).json<{ name: string }>();
      gateway.publish(`$JS.API.CONSUMER.MSG.NEXT.${EVENTS}.${name}`, '{"batch":1}', { reply });
      await create({ deliver_subject: reply });
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await streams()).toEqual(before);
  expect(await metric(system.gateway, 'gateway_archives')).toBe(1);
});

test('publisher: its own event: is acknowledged by the stream', async () => {
  const payload = { id: '1', source: '/direct', type: 'direct.x', specversion: '1.0' };
  const stream = jetstream(connectionOf('publisher'));
  const { seq } = await stream.publish('tidemark.events.direct.x', JSON.stringify(payload));
  const listener = system.listen('sse', { topics: 'direct.>', after: 'earliest' });
  await until(() => listener.ids.includes('1'));
  expect(seq).toBeGreaterThan(0);
});
