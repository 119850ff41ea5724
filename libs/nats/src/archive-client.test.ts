import type { ArchiveHoldings, SequenceRange } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { ArchiveClient } from './archive-client.ts';
import { ArchiveDirectory } from './archive-directory.ts';
import { encodePage } from './archive-pages.ts';
import type { NatsLink } from './link.ts';

interface Answer {
  readonly through: number;
  readonly missing: readonly SequenceRange[];
}

/** What each archive announces, and what it answers; no answer is a time-out. */
interface Sample {
  readonly announced: ArchiveHoldings;
  readonly answer?: Answer;
}

function createClient(samples: Readonly<Record<string, Sample>>) {
  const directory = new ArchiveDirectory({ absenceMs: 1000, settleMs: 0 });
  directory.begin();
  const asked: string[] = [];
  for (const [instance, { announced: holdings }] of Object.entries(samples)) {
    directory.note({ instance, archive: instance, leaving: false, holdings });
  }
  const request = async (subject: string) => {
    const instance = subject.split('.')[3] ?? '';
    asked.push(instance);
    const sample = samples[instance];
    if (!sample?.answer) throw new Error('timeout');
    return { data: encodePage({ bounds: sample.announced, events: [], ...sample.answer }) };
  };
  const link = { connected: true, connection: { request } } as unknown as NatsLink;
  return { client: new ArchiveClient({ link, directory, timeoutMs: 1000 }), asked };
}

const everything = {
  epoch: 'e',
  patterns: ['>'],
  after: 9,
  through: 100,
  eventsMax: 1,
  bytesMax: 1,
};

function read(client: ArchiveClient) {
  return client.readPage(everything, ({ sequence }) => sequence);
}

const whole: Answer = { through: 100, missing: [] };
const old = { epoch: 'e', firstSequence: 1, lastSequence: 100, missing: [] };
const young = { ...old, firstSequence: 50, missing: [{ from: 1, to: 49 }] };

test('client: an old and a young archive: asks the old one, each time', async () => {
  const { client, asked } = createClient({
    old: { announced: old, answer: whole },
    young: { announced: young, answer: { through: 100, missing: [{ from: 10, to: 49 }] } },
  });
  for (let turn = 0; turn < 20; turn++) expect((await read(client)).page?.through).toBe(100);
  expect(new Set(asked)).toEqual(new Set(['old']));
});

test('client: one does not answer: the other is asked, and the first no more', async () => {
  const { client, asked } = createClient({
    a: { announced: old },
    b: { announced: old, answer: whole },
  });
  for (let turn = 0; turn < 20; turn++) expect((await read(client)).page?.through).toBe(100);
  expect(asked.filter((name) => name === 'a')).toHaveLength(1);
});

test('client: one lacks what it announced: the other is asked', async () => {
  const { client } = createClient({
    a: { announced: old, answer: { through: 100, missing: [{ from: 10, to: 20 }] } },
    b: { announced: old, answer: whole },
  });
  for (let turn = 0; turn < 4; turn++) expect((await read(client)).page?.missing).toEqual([]);
});

test('client: all lack it: says up to where; one that holds it does not answer: unavailable', async () => {
  const lacking = { announced: young, answer: { through: 100, missing: [{ from: 10, to: 49 }] } };
  const { client } = createClient({ young: lacking });
  expect((await read(client)).lack).toEqual({ through: 49, mayCome: false });
  const both = createClient({ young: lacking, old: { announced: old } });
  await expect(read(both.client)).rejects.toMatchObject({ code: 'unavailable' });
});
