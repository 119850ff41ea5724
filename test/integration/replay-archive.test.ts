import { ArchiveClient, ArchiveDirectory, followArchives, NatsLink } from '@tidemark/nats';
import type { LogBounds } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import type { Service } from '../support/services.ts';
import {
  askPage,
  OutsideClient,
  type Published,
  range,
  startReplay,
  until,
  untilProjected,
} from './replay-setup.ts';

const EVERYTHING = { after: 0, through: 1_000_000, eventsMax: 100, bytesMax: 500_000 };

let nats: NatsServer;
let client: OutsideClient;
let replay: Service;
let link: NatsLink;
let archive: ArchiveClient;
let followed: { stop(): void };
let published: Published[];
let epoch: string;

beforeAll(async () => {
  nats = await startNatsServer();
  client = await OutsideClient.connect(nats.url);
  replay = await startReplay(nats.url);
  const logger = createLogger('test', 'silent');
  link = await new NatsLink({ servers: nats.url, name: 'tidemark-gateway', logger }).connect();
  const directory = new ArchiveDirectory({ absenceMs: 10_000 });
  followed = followArchives(link, { directory, logger });
  archive = new ArchiveClient({ link, directory, timeoutMs: 2000 });
  published = await client.publish(range(1, 1000), (number) => ({
    topic: `user.${number % 50}.${number % 2 === 0 ? 'inbox' : 'sent'}`,
  }));
  await untilProjected(replay, 1000);
  epoch = (await state()).epoch;
  await until(async () => (await archive.bounds(epoch)).lastSequence === 1000);
});

afterAll(async () => {
  followed.stop();
  await link.close();
  await replay.stop();
  await client.close();
  await nats.stop();
});

/** The archive's bounds, asked as gateways of an earlier version ask. */
async function state(): Promise<LogBounds> {
  return (await client.connection.request('tidemark.archive.state', '{}')).json<LogBounds>();
}

const sequenceOf = ({ sequence }: { readonly sequence: number }) => sequence;

async function readAll(patterns: readonly string[], limits: object) {
  const found = [];
  for (let after = 0; after < 1000; ) {
    const { page } = await archive.readPage(
      { ...EVERYTHING, ...limits, epoch, patterns, after },
      (header, json) => ({ ...header, json }),
    );
    if (!page) throw new Error(`The archive lacks what follows ${after}.`);
    expect(page.through).toBeGreaterThan(after);
    found.push(...page.events);
    after = page.through;
  }
  return found;
}

describe('archive over NATS', () => {
  test('archive: bounds: the epoch and range of the archive', async () => {
    const bounds = { epoch, firstSequence: 1, lastSequence: 1000 };
    expect(await archive.bounds(epoch)).toEqual(bounds);
    expect(await state()).toEqual(bounds);
    expect(epoch).toBe((await askPage(replay, '/v1/events')).next.split('-')[0]);
  });

  test.each([
    [['>'], {}],
    [['user.*.inbox'], {}],
    [['user.7.sent', 'user.8.>'], { eventsMax: 3 }],
    [['>'], { bytesMax: 1000 }],
    [['user.1.inbox'], {}],
  ])(
    'archive: %j with %j: each event once, in order, bytes as stored',
    async (patterns, limits) => {
      const of = (topic: string) =>
        patterns.some((pattern) => {
          const expression = pattern
            .replaceAll('.', '\\.')
            .replace('*', '[^.]+')
            .replace('>', '.+');
          return new RegExp(`^${expression}$`).test(topic);
        });
      const expected = published.filter(({ topic }) => of(topic));
      const found = await readAll(patterns, limits);
      expect(found.map(({ sequence }) => sequence)).toEqual(expected.map((one) => one.sequence));
      expect(found.map(({ topic }) => topic)).toEqual(expected.map(({ topic }) => topic));
      expect(found.map(({ json }) => Buffer.from(json).toString())).toEqual(
        expected.map(({ event }) => JSON.stringify(event)),
      );
    },
  );

  test('archive: range beyond the position: complete only up to it', async () => {
    const query = { ...EVERYTHING, epoch, patterns: ['absent'] };
    expect((await archive.readPage(query, sequenceOf)).page).toMatchObject({
      events: [],
      through: 1000,
      missing: [],
    });
    const { page, lack } = await archive.readPage({ ...query, after: 5000 }, sequenceOf);
    expect(page).toBeUndefined();
    expect(lack).toEqual({ through: Number.POSITIVE_INFINITY, mayCome: true });
  });

  test('archive: sequenceBefore: the last event stored before a time', async () => {
    const query = { ...EVERYTHING, epoch, patterns: ['>'] };
    const { page } = await archive.readPage(query, ({ timeMs }) => timeMs);
    expect(await archive.sequenceBefore(epoch, page?.events[0] ?? 0)).toBe(0);
    expect(await archive.sequenceBefore(epoch, Date.now() + 60_000)).toBe(1000);
  });

  test('archive: another epoch: not asked, and refused with invalid_cursor where it is', async () => {
    const query = { ...EVERYTHING, epoch: 'other', patterns: ['>'] };
    await expect(archive.readPage(query, sequenceOf)).rejects.toMatchObject({
      code: 'unavailable',
    });
    const reply = await client.connection.request('tidemark.archive.read', JSON.stringify(query));
    expect(reply.json()).toMatchObject({ error: { code: 'invalid_cursor' } });
  });

  test.each([
    ['no JSON', 'nonsense'],
    ['no object', 'null'],
    ['no patterns', '{}'],
    ['bad pattern', JSON.stringify({ ...EVERYTHING, patterns: ['a..b'] })],
    ['bad numbers', JSON.stringify({ ...EVERYTHING, patterns: ['>'], after: 'x' })],
    ['negative', JSON.stringify({ ...EVERYTHING, patterns: ['>'], eventsMax: -1 })],
  ])('archive: request with %s: an error, and the next one is answered', async (_name, body) => {
    const reply = await client.connection.request('tidemark.archive.read', body);
    expect(reply.json()).toMatchObject({ error: { code: expect.any(String) } });
    expect(await state()).toMatchObject({ lastSequence: 1000 });
  });
});
