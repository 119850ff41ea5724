import { readMetrics } from '../../bench/system/gateway-metrics.ts';
import { measure, verify } from '../../bench/system/measurement.ts';
import { Stage } from '../../bench/system/stage.ts';
import { LARGE_BYTES, type Scale, SMALL_BYTES } from '../scale.ts';
import type { Transport } from './transport.ts';

const TIMEOUT_MS = 120_000;
/** Slow enough that each event is written by itself. */
const EVENTS_PER_SECOND = 50;
const WARM_UP_EVENTS = 500;
const SATURATION_EVENTS_PER_SECOND_OF_RUN = 2000;
const OWN_EVENTS_EACH = 4;

/** Microseconds of the gateway. */
export interface SharedCost {
  readonly writeSmallUs: number;
  readonly writeLargeUs: number;
  readonly batchedUs: number;
}

/** Many readers of one topic: one event in a write, and as many in a write as saturation makes. */
export async function measureShared(transport: Transport, scale: Scale): Promise<SharedCost> {
  const large = await shareTopic(transport, scale, { bytes: LARGE_BYTES, saturated: false });
  const small = await shareTopic(transport, scale, { bytes: SMALL_BYTES, saturated: true });
  return { writeSmallUs: small.writeUs, writeLargeUs: large.writeUs, batchedUs: small.batchedUs };
}

async function shareTopic(
  transport: Transport,
  { sharing, seconds }: Scale,
  { bytes, saturated }: { readonly bytes: number; readonly saturated: boolean },
) {
  const topics = { prefix: 'shared', audiences: 1, topicsEach: 1 };
  const stage = await Stage.open({});
  try {
    const gateway = await stage.startGateway();
    const load = await stage.startLoad();
    const publisher = await stage.startPublisher();
    const plan = { ...stage.clientPlan(gateway.port), transport, eventBytes: bytes };
    const opened = await load.call('open', {
      ...plan,
      timed: false,
      check: 'sequence',
      clients: sharing,
      topics,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening', opened.faults);
    const deliver = async (events: number, perSecond: number) => {
      await load.call('expect', { events });
      const writesBefore = await writesOf(gateway.url);
      const spent = await measure(gateway);
      const published = publisher.call('publish', { topics, events, eventBytes: bytes, perSecond });
      const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
      const { cpuSeconds } = await spent();
      await published;
      verify('receiving', received.faults);
      return { us: cpuSeconds * 1e6, writes: (await writesOf(gateway.url)) - writesBefore };
    };
    await deliver(WARM_UP_EVENTS, 0);
    const apart = await deliver(EVENTS_PER_SECOND * seconds, EVENTS_PER_SECOND);
    const writeUs = apart.us / apart.writes;
    if (!saturated) return { writeUs, batchedUs: 0 };
    const events = SATURATION_EVENTS_PER_SECOND_OF_RUN * seconds;
    const together = await deliver(events, 0);
    return { writeUs, batchedUs: together.us / (events * sharing) };
  } finally {
    await stage.close();
  }
}

/** @returns microseconds of the gateway for an event that one WebSocket client reads */
export async function measureOwn({ owning, seconds }: Scale, bytes: number): Promise<number> {
  const topics = { prefix: 'own', audiences: owning, topicsEach: 1 };
  const rounds = OWN_EVENTS_EACH * seconds;
  const stage = await Stage.open({});
  try {
    const gateway = await stage.startGateway();
    const load = await stage.startLoad();
    const publisher = await stage.startPublisher();
    const opened = await load.call('open', {
      ...stage.clientPlan(gateway.port),
      eventBytes: bytes,
      timed: false,
      check: 'counter',
      clients: owning,
      topics,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening', opened.faults);
    await load.call('expect', { events: rounds });
    const spent = await measure(gateway);
    const plan = { topics, events: owning * rounds, eventBytes: bytes, perSecond: 0 };
    const published = publisher.call('publish', plan);
    const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
    const { cpuSeconds } = await spent();
    await published;
    verify('receiving', received.faults);
    return (cpuSeconds * 1e6) / (owning * rounds);
  } finally {
    await stage.close();
  }
}

async function writesOf(url: string): Promise<number> {
  return (await readMetrics(url)).get('tidemark_gateway_writes_total') ?? Number.NaN;
}
