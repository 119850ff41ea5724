import { expect, test } from 'vitest';
import { Faults } from './faults.ts';

const LOSES: Readonly<Record<string, 'end' | 'start'>> = {
  'power-loss': 'end',
  retention: 'start',
};

function faultsOf(
  ...spans: [fault: string, target: string, beginMs: number, endMs: number][]
): Faults {
  const faults = new Faults();
  for (const [number, [fault, target, beginMs, endMs]] of spans.entries()) {
    const loses = LOSES[fault];
    const record = { kind: 'fault', number, fault, target, ...(loses && { loses }) } as const;
    faults.add({ ...record, phase: 'begin', atMs: beginMs });
    faults.add({ ...record, phase: 'end', atMs: endMs });
  }
  return faults;
}

test('faults: a server that starts after the log lost its end: may not know of it, from then on', () => {
  const faults = faultsOf(['power-loss', 'nats-1', 100, 200], ['kill', 'ingest-1', 250, 300]);
  expect(faults.mayNotKnowLoss(240)).toBe(false);
  expect(faults.mayNotKnowLoss(310)).toBe(true);
});

test.each([
  ['ingest only stops', ['stop', 'ingest-1', 250, 300]],
  ['another service starts', ['kill', 'replay-1', 250, 300]],
  ['ingest started before', ['kill', 'ingest-1', 50, 90]],
] as const)('faults: the log lost its end, and %s: every server knows of it', (_, fault) => {
  const faults = faultsOf(['power-loss', 'nats-1', 100, 200], [...fault]);
  expect(faults.mayNotKnowLoss(1000)).toBe(false);
});

test('faults: events may be away from the stream once retention has begun', () => {
  const faults = faultsOf(['retention', 'stream', 100, 200]);
  expect([99, 100, 300].map((atMs) => faults.mayHaveLostStart(atMs))).toEqual([false, true, true]);
});

test('faults: a server started while an archive was away: may not know of it until it has announced itself', () => {
  const faults = faultsOf(['kill', 'replay-1', 100, 20_000], ['kill', 'gateway-1', 5000, 6000]);
  expect(faults.mayNotKnowArchive('gateway', 5500)).toBe(false);
  expect(faults.mayNotKnowArchive('gateway', 7000)).toBe(true);
  expect(faults.mayNotKnowArchive('replay-2', 7000)).toBe(false);
  expect(faults.mayNotKnowArchive('gateway', 26_000)).toBe(false);
});

test('faults: a server that NATS did not reach since its start: may not know of an archive either', () => {
  const start = ['kill', 'replay-2', 1000, 2000] as const;
  const deaf = ['terminate', 'nats-1', 4000, 30_000] as const;
  const away = ['kill', 'replay-1', 31_000, 40_000] as const;
  expect(faultsOf([...start], [...away]).mayNotKnowArchive('replay-2', 35_000)).toBe(false);
  expect(faultsOf([...start], [...deaf], [...away]).mayNotKnowArchive('replay-2', 35_000)).toBe(
    true,
  );
});
