import { expect, test } from 'vitest';
import type { Costs, SizedCost } from '../costs.ts';
import { type Demand, readDemand } from './demand.ts';
import { loadOf } from './load.ts';
import { growthOf, largestFor, type Plan, planFor, streamBounds } from './plan.ts';

const GIB = 1024 ** 3;

/** Round costs, so that the results can be computed by hand. Half of each core may be used. */
const flat = (base: number): SizedCost => ({ base, perKib: 0 });
const CONNECTION = {
  residentBytes: 10_000,
  kernelBytes: 4000,
  openUs: 200,
  heartbeatUs: 15,
  write: flat(5),
  batchedUs: 0.1,
};
const COSTS: Costs = {
  websocket: CONNECTION,
  sse: { ...CONNECTION, residentBytes: 40_000 },
  gateway: {
    residentBytes: 100_000_000,
    receive: flat(4),
    fanOut: flat(6),
    append: flat(50),
    wideCatchUp: flat(2),
    narrowCatchUpUs: 10,
    topicBytes: 0,
  },
  ingest: { append: flat(200), batchAppend: flat(20) },
  nats: {
    append: flat(60),
    batchAppend: flat(10),
    feed: flat(1),
    topicBytes: 200,
    messageIdBytes: 300,
    appendsPerSecond: 100_000,
  },
  replay: { project: flat(10), wideCatchUp: flat(3), narrowCatchUpUs: 5 },
  stored: { stream: { base: 200, perKib: 1024 }, archive: { base: 100, perKib: 1024 } },
  stalledKernelBytes: 200_000,
};

const demandOf = (values: Partial<Record<string, number>>) => readDemand(values);

function planOf(demand: Demand): Plan {
  const plan = planFor(demand, COSTS);
  if (!plan) throw new Error('There is no plan.');
  return plan;
}

const processes = ({ parts }: Plan, name: string) =>
  parts.find((part) => part.name === name)?.processes;

test('plan: idle connections: their number decides how many gateways there are', () => {
  const plan = planOf(demandOf({ connections: 1_000_000, 'events-per-second': 0 }));
  // At most 100,000 on one; their heartbeats are 1 s of CPU in a second together.
  expect(processes(plan, 'gateway')).toBe(10);
  expect(plan.parts[0]?.cores).toBeCloseTo(0.1);
  expect(plan.gatewayBounds[0]).toEqual({ name: 'TIDEMARK_GATEWAY_CONNECTIONS_MAX', used: 1 });
});

test('plan: idle connections over SSE: memory decides', () => {
  const plan = planOf(demandOf({ connections: 2_000_000, 'events-per-second': 0, sse: 1 }));
  // 3 GiB without the tail of 256 MiB and the gateway itself hold 71,321 connections.
  expect(processes(plan, 'gateway')).toBe(29);
  expect(plan.parts[0]?.memoryBytes).toBe(100_000_000 + GIB / 4 + (2_000_000 * 40_000) / 29);
  expect(plan.gatewayBounds[0]?.name).toBe('memory');
});

test('plan: deliveries: CPU decides how many gateways there are', () => {
  // 400,000 deliveries of 5 µs are 2 cores, and each gateway spends 0.04 on 4,000 events with readers.
  const plan = planOf(demandOf({ connections: 1500, 'events-per-second': 4000, 'fan-out': 100 }));
  expect(processes(plan, 'gateway')).toBe(5);
  expect(plan.parts[0]?.cores).toBeCloseTo(0.04 + (2 + 0.0015) / 5, 6);
  expect(plan.gatewayBounds[0]?.name).toBe('CPU');
});

test('plan: an event with few readers costs only some gateways its fan-out', () => {
  const demand = demandOf({ connections: 10, 'events-per-second': 1000, 'fan-out': 2 });
  expect(loadOf(demand, COSTS, 1).receiving).toBeCloseTo(0.01, 6);
  expect(loadOf(demand, COSTS, 4).receiving).toBeCloseTo(0.007, 6);
});

test('plan: ingest: batches need fewer processes', () => {
  expect(processes(planOf(demandOf({ 'events-per-second': 10_000 })), 'ingest')).toBe(4);
  expect(processes(planOf(demandOf({ 'events-per-second': 10_000, batch: 100 })), 'ingest')).toBe(
    1,
  );
});

test('plan: disk: counts every copy', () => {
  const plan = planOf(demandOf({ 'events-per-second': 100, size: 300, replicas: 3, replays: 2 }));
  expect(plan.streamBytesADay).toBe(86_400 * 100 * 500 * 3);
  expect(plan.archiveBytesADay).toBe(86_400 * 100 * 400 * 2);
});

test('plan: stalled connections: the kernel holds their buffers', () => {
  const plan = planOf(demandOf({ connections: 100_000, 'events-per-second': 0, stalled: 0.1 }));
  expect(plan.kernelBytes).toBe(100_000 * 4000 + 10_000 * 200_000);
});

test('plan: machines: each copy of the stream has one of its own', () => {
  expect(planOf(demandOf({ connections: 10 })).machines).toBe(1);
  expect(planOf(demandOf({ connections: 10, replicas: 3 })).machines).toBe(3);
});

test('plan: machines: a slow network decides', () => {
  const values = { connections: 1000, 'events-per-second': 1000, 'fan-out': 100, gigabits: 0.1 };
  const plan = planOf(demandOf(values));
  // 100,000 deliveries of 450 bytes, and 1,000 events of 550 bytes to gateway and replay: 369 Mbit/s.
  expect(plan.machineBounds[0]?.name).toBe('network');
  expect(plan.machines).toBe(8);
});

test('plan: return of all: gateways with their free CPU, or replay', () => {
  const idle = { connections: 100_000, 'events-per-second': 0 };
  // 100,000 times 200 µs, beside heartbeats of 0.1 s in a second.
  expect(planOf(demandOf({ ...idle, missed: 0 })).returnSeconds).toBeCloseTo(20 / 0.9);
  expect(planOf(demandOf({ ...idle, missed: 100 })).returnSeconds).toBeCloseTo(120 / 0.9);
  expect(planOf(demandOf({ ...idle, missed: 100, replays: 0 })).returnSeconds).toBeCloseTo(
    120 / 0.9,
  );
});

test('plan: one stream: more events than a gateway can receive have no plan', () => {
  const demand = demandOf({
    connections: 10,
    'events-per-second': 130_000,
    'fan-out': 0,
    batch: 100,
  });
  expect(planFor(demand, COSTS)).toBeUndefined();
  // 130,000 events of 4 µs are 0.52 of a core, of which half may be used.
  const bounds = new Map(streamBounds(demand, COSTS, 1).map(({ name, used }) => [name, used]));
  expect(bounds.get('a gateway, which receives every event')).toBeCloseTo(1.04);
  expect(bounds.get('replay, which writes every event')).toBeCloseTo(2.6);
  expect(bounds.get('appends of one stream')).toBeCloseTo(2.6);
});

test('plan: largest load: grows until the machines are used, and stops where one stream ends', () => {
  const demand = demandOf({ connections: 1000, 'events-per-second': 10, 'fan-out': 1000 });
  const one = largestFor(demand, COSTS, 1);
  const ten = largestFor(demand, COSTS, 10);
  if (!one || !ten) throw new Error('There is no largest load.');
  expect(planOf(one).machines).toBe(1);
  expect(planOf(ten).machines).toBe(10);
  expect(ten.connections).toBeGreaterThan(8 * one.connections);
  const narrow = largestFor({ ...demand, fanOut: 0.01, batch: 100 }, COSTS, 1000);
  expect(narrow && planOf(narrow).streamBounds[0]?.used).toBeCloseTo(1, 1);
});

test('growth: further gateways make the NATS server work more, so the bounds do not grow alone', () => {
  const demand = demandOf({ connections: 1000, 'events-per-second': 100, 'fan-out': 1000 });
  const factor = growthOf(demand, COSTS) ?? 0;
  const most = planOf({ ...demand, connections: 1000 * factor, eventsPerSecond: 100 * factor });
  // Each of the gateways gets every event from that server.
  expect(most.streamBounds[0]?.name).toBe('network of the leading NATS server');
  expect(most.streamBounds[0]?.used).toBeCloseTo(1, 1);
  expect(factor).toBeLessThan(1 / (planOf(demand).streamBounds[0]?.used ?? 0));
  expect(growthOf(demandOf({ 'events-per-second': 0 }), COSTS)).toBeUndefined();
});

test('demand: refuses what is no number, or out of range', () => {
  expect(() => readDemand({ connections: 'many' })).toThrow(
    '--connections many is no number from 1',
  );
  expect(() => readDemand({ use: '1.5' })).toThrow('--use 1.5 is no number from 0.01 to 1.');
  expect(() => readDemand({ size: '' })).toThrow('--size  is no number');
  expect(readDemand({ size: '500' })).toMatchObject({ size: 500, connections: 10_000 });
});
