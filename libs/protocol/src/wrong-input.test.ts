import { expect, test } from 'vitest';
import { parseAnnouncement, parseArchiveQuery } from './archive-messages.ts';
import { TidemarkError } from './errors.ts';
import { parseClientMessage } from './messages.ts';
import { decodeStored } from './stored-events.ts';

const TEXT_LENGTH = 512 * 1024;

/** What a text is filled with, between a begin and an end. */
const ITEMS = {
  numbers: () => '1',
  'long numbers': () => '12345678901234567890',
  'empty texts': () => '""',
  lists: () => '[]',
  objects: (n: number) => `{"${n.toString(36)}":1}`,
};
const NAMES = {
  names: (n: number) => `"${n.toString(36)}":1`,
  'equal names': () => '"a":1',
};

function filled(begin: string, item: (n: number) => string, end: string): string {
  const items: string[] = [];
  for (let length = 0; length < TEXT_LENGTH; length += (items.at(-1) ?? '').length + 1) {
    items.push(item(items.length));
  }
  return begin + items.join(',') + end;
}

/** The least time of the processor for some work, in milliseconds, because others share its caches. */
function leastMs(work: () => void): number {
  return Math.min(
    ...Array.from({ length: 5 }, () => {
      const before = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    }),
  );
}

/** The error that reading throws, once it is known to take some milliseconds only. */
function refusal(read: () => unknown, mostMs = 10): unknown {
  const attempt = () => {
    try {
      return read();
    } catch (error) {
      return error;
    }
  };
  expect(leastMs(attempt)).toBeLessThan(mostMs);
  return attempt();
}

const subscribe = '{"type":"subscribe","id":"a","topics":["a"]';
test.each([
  ...Object.entries(ITEMS).flatMap(([name, item]) => [
    [`topics, ${name}`, filled('{"type":"subscribe","id":"a","topics":[', item, ']}')],
    [`types, ${name}`, filled(`${subscribe},"types":[`, item, ']}')],
    [`event, ${name}`, filled('{"type":"publish","id":"a","event":[', item, ']}')],
    [`a list, ${name}`, filled('[', item, ']')],
    [`lists in a list, ${name}`, filled('{"type":"subscribe","id":"a","topics":[[', item, ']]}')],
  ]),
  ...Object.entries(NAMES).flatMap(([name, item]) => [
    [`message, ${name}`, filled('{"type":"ping",', item, '}')],
    [`topics, ${name}`, filled('{"type":"subscribe","id":"a","topics":{', item, '}}')],
    [`event, ${name}`, filled('{"type":"publish","id":"a","event":{', item, '}}')],
    [`deep, ${name}`, filled('{"type":"ping","x":{"y":{', item, '}}}')],
  ]),
])(
  'client message that is wrong in very many places (%s): one short error, in 10 ms',
  (_, text) => {
    const parsed = refusal(() => parseClientMessage(text));
    expect(parsed).toMatchObject({ error: expect.any(TidemarkError) });
    const { error } = parsed as { error: TidemarkError };
    expect(JSON.stringify(error.toBody()).length).toBeLessThan(1024);
  },
);

test('client message, wrong lists that are shorter: name the first wrong item alone', () => {
  const topics = Array(2_000).fill(1);
  expect(parseClientMessage(JSON.stringify({ type: 'subscribe', id: 'a', topics }))).toMatchObject({
    id: 'a',
    error: { details: { faults: [{ path: 'topics.0', message: 'must be a text' }] } },
  });
});

test('client message, a large one that is right, its names in any spelling: is read', () => {
  const data = Array.from({ length: 20_000 }, (_, n) => ({ n }));
  const event = JSON.stringify({ type: 'a', data });
  const text = `{"type":"publish","id":"a","\\u0065vent":${event}}`;
  expect(parseClientMessage(text)).toEqual({ type: 'publish', id: 'a', event: JSON.parse(event) });
});

test('client message whose event is certain to be too large: told by its id, and not parsed', () => {
  const text = filled(
    '{"type":"publish","id":"a\\u0062","event":{"type":"a","data":[',
    ITEMS.objects,
    ']}}',
  );
  expect(refusal(() => parseClientMessage(text), 25)).toMatchObject({
    id: 'ab',
    error: { code: 'too_large' },
  });
});

const range = '"after":0,"through":1,"eventsMax":1,"bytesMax":1';
test('archive messages that are wrong in very many places: one short error, little work', () => {
  for (const [read, begin, end] of [
    [parseArchiveQuery, `{"epoch":"a",${range},"patterns":[`, ']}'],
    [parseAnnouncement, '{"holdings":{"missing":[', ']}}'],
  ] as const) {
    const text = filled(begin, ITEMS.numbers, end);
    // The parser alone takes some 10 ms.
    const error = refusal(() => read(text), 50);
    expect(JSON.stringify((error as TidemarkError).toBody()).length).toBeLessThan(1024);
  }
});

test('message of a direct publisher with very many attributes: skipped, in 10 ms', () => {
  const payload = new TextEncoder().encode(filled('{"type":"a",', NAMES.names, '}'));
  const message = { topic: 'a', payload, headers: new Map(), trust: 'none' } as const;
  expect(refusal(() => decodeStored(message))).toMatchObject({ valid: false });
});
