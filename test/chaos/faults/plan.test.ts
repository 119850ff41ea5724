import { expect, test } from 'vitest';
import { type PlanOptions, planFaults } from './plan.ts';

const OPTIONS: PlanOptions = {
  seed: 1,
  durationMs: 600_000,
  nats: ['nats-1', 'nats-2', 'nats-3'],
  services: ['gateway-1', 'gateway-2', 'ingest-1', 'ingest-2', 'replay-1', 'replay-2'],
  links: ['nats-1 nats-2', 'gateway-1 nats-1', 'client gateway-1'],
  disks: ['nats-1', 'nats-2', 'nats-3', 'replay-1'],
  losses: true,
  retention: true,
};

test('plan: the same seed: the same faults; another seed: others', () => {
  expect(planFaults(OPTIONS)).toEqual(planFaults(OPTIONS));
  expect(planFaults(OPTIONS)).not.toEqual(planFaults({ ...OPTIONS, seed: 2 }));
});

test('plan: ten minutes: faults of every kind, by their times, all of them within the run', () => {
  const faults = planFaults(OPTIONS);
  expect(new Set(faults.map(({ fault }) => fault))).toEqual(
    new Set([
      ...['kill', 'terminate', 'stop', 'rolling', 'cut', 'delay', 'half-open', 'one-way'],
      ...['old-disk', 'power-loss', 'full-disk', 'retention', 'lost-archive', 'machines'],
    ]),
  );
  const times = faults.map(({ atMs }) => atMs);
  expect(times).toEqual(times.toSorted((one, other) => one - other));
  expect(faults.every(({ atMs, lastsMs }) => atMs + lastsMs <= OPTIONS.durationMs)).toBe(true);
});

test('plan: one server, without losses, links and disks: only what it can survive', () => {
  const one = {
    ...OPTIONS,
    nats: ['nats-1'],
    links: [],
    disks: [],
    losses: false,
    retention: false,
  };
  expect(new Set(planFaults(one).map(({ fault }) => fault))).toEqual(
    new Set(['kill', 'terminate', 'stop', 'rolling', 'lost-archive', 'machines']),
  );
});
