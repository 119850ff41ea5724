import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, postTo } from '../conformance/ingest-setup.ts';
import { type ClusterServer, type NatsCluster, startNatsCluster } from '../support/nats-cluster.ts';
import { makeToken, type Service, startService } from '../support/services.ts';
import { withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/* Conditional appends on three servers: two ingests contend for a topic, and the majority hangs. */

const TEST_TIMEOUT_MS = 120_000;

const ROUNDS = 25;
const CONTENDERS = 12;

/** How long the majority hangs. Its leader goes on for some ten seconds before it gives up its lead. */
const HANG_MS = 15_000;

let cluster: NatsCluster;
/** The server that leads the stream, and the others. */
let leader: ClusterServer;
let others: ClusterServer[] = [];
const services: Service[] = [];
let ingests: Service[] = [];
let token: string;
beforeAll(async () => {
  cluster = await startNatsCluster();
  const env = { TIDEMARK_STREAM_REPLICAS: '3' };
  const replay = await startService('replay', { natsUrl: cluster.url, env });
  services.push(replay);
  const name = await leaderName(cluster.servers[0]?.url ?? '');
  leader = cluster.servers.find((server) => server.name === name) as ClusterServer;
  others = cluster.servers.filter((server) => server !== leader);
  // Both reach the leader when the others hang.
  ingests = await Promise.all([0, 1].map(() => startService('ingest', { natsUrl: leader.url })));
  services.push(...ingests);
  token = await makeToken('publish:>');
}, TEST_TIMEOUT_MS);
afterAll(async () => {
  for (const server of others) server.thaw();
  await Promise.all(services.map((service) => service.stop()));
  await cluster?.stop();
}, TEST_TIMEOUT_MS);

async function leaderName(url: string): Promise<string | undefined> {
  return withNats(url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    return (await streams.info(STREAM_NAME)).cluster?.leader;
  });
}

/** Appends through one of the ingests, under a condition where a cursor is given. */
function append(
  id: string,
  topic: string,
  cursor?: string,
  { url = '' } = ingests[Number(id.at(-1)) % ingests.length] ?? {},
): Promise<Answer> {
  const headers = cursor === undefined ? {} : { 'if-match': `"${cursor}"` };
  const event = { id, source: `/${topic}`, type: 'contended', topic };
  return postTo(url, event, { token, headers });
}

interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, boolean>>;
}

function readiness(): Promise<Readiness[]> {
  const ask = async ({ url }: Service) => (await fetch(`${url}/readyz`)).json();
  return Promise.all(ingests.map(ask)) as Promise<Readiness[]>;
}

/** Appends again for as long as the answer is 503, as a publisher does. */
async function appendUntilDecided(
  id: string,
  topic: string,
  cursor?: string,
  ingest?: Service,
): Promise<Answer> {
  for (;;) {
    const answer = await append(id, topic, cursor, ingest);
    if (answer.status !== 503) return answer;
  }
}

test(
  'many contend for a topic: one 201 in each round, and no loser is told the cursor that it sent',
  async () => {
    let { cursor } = (await appendUntilDecided('start-0', 'contended')).body;
    for (let round = 0; round < ROUNDS; round++) {
      const ids = Array.from({ length: CONTENDERS }, (_, n) => `${round}-${n}`);
      const answers = await Promise.all(ids.map((id) => append(id, 'contended', cursor)));
      const winners = answers.filter(({ status }) => status === 201);
      expect(winners).toHaveLength(1);
      for (const { status, body } of answers) {
        if (status !== 201) expect(body).toMatchObject({ code: 'precondition_failed' });
        expect(body.cursor).not.toBe(cursor);
      }
      cursor = winners[0]?.body.cursor;
    }
  },
  TEST_TIMEOUT_MS,
);

test(
  'the same conditional append several times at once: stored once, every answer has its cursor',
  async () => {
    let { cursor } = (await appendUntilDecided('start-0', 'repeated')).body;
    for (let round = 0; round < ROUNDS; round++) {
      const ids = Array.from({ length: 4 }, () => `repeated-${round}`);
      const answers = await Promise.all(ids.map((id) => append(id, 'repeated', cursor)));
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
      const [first] = answers;
      for (const { body } of answers) expect(body.cursor).toBe(first?.body.cursor);
      expect(answers.filter(({ body }) => !body.duplicate)).toHaveLength(1);
      cursor = first?.body.cursor;
    }
  },
  TEST_TIMEOUT_MS,
);

test(
  'the majority of the servers hangs: a right condition gets 503, never 412; afterwards it is stored once',
  async () => {
    const topics = ['hung.a', 'hung.b', 'hung.c'];
    const cursors = new Map<string, string>();
    for (const topic of topics) {
      cursors.set(topic, (await appendUntilDecided('start-0', topic)).body.cursor);
    }
    await Promise.all(others.map((server) => server.freeze()));
    const endMs = performance.now() + HANG_MS;
    const statuses = new Set<number>();
    const publish = async (topic: string, number: number) => {
      while (performance.now() < endMs) {
        const { status, body } = await append(`hung-${number}`, topic, cursors.get(topic));
        statuses.add(status);
        if (status !== 503) throw new Error(`${status} ${JSON.stringify(body)}`);
      }
    };
    await Promise.all(topics.flatMap((topic) => [0, 1].map((number) => publish(topic, number))));
    expect([...statuses]).toEqual([503]);
    expect((await readiness()).map(({ checks }) => checks.store)).toEqual([false, false]);
    for (const server of others) server.thaw();
    for (const topic of topics) {
      const cursor = cursors.get(topic);
      const answers = await Promise.all(
        [0, 1].map((number) => appendUntilDecided(`hung-${number}`, topic, cursor)),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 412]);
      const [winner, loser] = answers.sort((a, b) => a.status - b.status);
      expect(loser?.body.cursor).toBe(winner?.body.cursor);
    }
    await until(async () => (await readiness()).every(({ ready }) => ready));
  },
  TEST_TIMEOUT_MS,
);

test(
  'the leader hangs, the others go on, and it resumes: it refuses no right condition from its past',
  async () => {
    const name = await leaderName(leader.url);
    const hung = cluster.servers.find((server) => server.name === name) as ClusterServer;
    const rest = cluster.servers.filter((server) => server !== hung);
    const near = await startService('ingest', { natsUrl: hung.url });
    services.push(near);
    const far = await startService('ingest', { natsUrl: rest.map(({ url }) => url).join(',') });
    services.push(far);
    let { cursor } = (await appendUntilDecided('start-0', 'resumed', undefined, far)).body;
    await hung.freeze();
    for (const id of ['far-1', 'far-2', 'far-3']) {
      const stored = await appendUntilDecided(id, 'resumed', cursor, far);
      expect(stored.status).toBe(201);
      cursor = stored.body.cursor;
    }
    // It waits in the socket of the server that hangs, which reads it first when it resumes.
    const waiting = append('near-1', 'resumed', cursor, near);
    await sleep(300);
    hung.thaw();
    expect([201, 503]).toContain((await waiting).status);
    expect((await appendUntilDecided('near-1', 'resumed', cursor, near)).status).toBe(201);
  },
  TEST_TIMEOUT_MS,
);
