import { setTimeout as sleep } from 'node:timers/promises';
import type { Values } from '../../cases/bench-case.ts';
import { verify } from '../../system/measurement.ts';
import type { TopicPlan } from '../../wire/topics.ts';
import type { Arena } from '../arena.ts';
import { type ComparisonCase, circumstances, EVENT_BYTES, type Row } from './comparison-case.ts';

const TIMEOUT_MS = 120_000;
const BATCH = 100;
const PUBLISHERS = 4;
const FAN_OUT_CLIENTS = 1000;
const NARROW_CLIENTS = 5000;

/**
 * How many events the slowest client may lack. Without a bound the servers would measure their queues, and
 * Centrifugo would disconnect a client at 1 MiB. With this one nobody is idle.
 */
const BEHIND_MAX = 600;
const POLL_MS = 2;

/** Pause after the handshakes, so that their garbage is collected before the measurement. */
const SETTLE_MS = 2000;

const PUBLISHING = `${PUBLISHERS} publishers send ${EVENT_BYTES}-byte events over HTTP in batches of ${BATCH}, each one batch at a time, as fast as they are answered; every client checks that it has each publisher's events once and in order.`;

/** How many events take some seconds. The systems differ by two orders of magnitude. */
const FAN_OUT_EVENTS = { websocket: 20_000, sse: 20_000, centrifugo: 4000, 'socket.io': 400 };

const ROWS: readonly Row[] = [
  { value: 'perSecond', text: 'deliveries/s', unit: '/s', better: 'higher' },
  {
    value: 'perServingSecond',
    text: 'deliveries per CPU s of what writes to clients',
    unit: '',
    better: 'higher',
  },
  {
    value: 'perWholeSecond',
    text: 'deliveries per CPU s of the whole system',
    unit: '',
    better: 'higher',
  },
];

export const fanOut: ComparisonCase = {
  name: 'fan-out',
  title: 'fan-out, 1,000 clients on one topic, saturated',
  method: `${FAN_OUT_CLIENTS} clients are on one topic. ${PUBLISHING} They wait where a client lacks more than ${BEHIND_MAX} events. Each system is given as many events as take it some seconds.`,
  rows: ROWS,
  sockets: FAN_OUT_CLIENTS,
  needs: { recovery: false },
  run: (arena, { quick }) => {
    const events = FAN_OUT_EVENTS[arena.system.access.transport] / (quick ? 4 : 1);
    return deliver(arena, {
      clients: FAN_OUT_CLIENTS,
      topics: { prefix: 'fan-out', audiences: 1, topicsEach: 1 },
      warmUp: events / 5,
      events,
      settleMs: quick ? 0 : SETTLE_MS,
      isBounded: true,
    });
  },
};

export const narrow: ComparisonCase = {
  name: 'narrow',
  title: 'narrow, 5,000 clients, each its own topic',
  method: `${NARROW_CLIENTS} clients have a topic each. ${PUBLISHING}`,
  rows: ROWS,
  sockets: NARROW_CLIENTS,
  needs: { recovery: false },
  run: (arena, { quick }) => {
    const clients = quick ? NARROW_CLIENTS / 5 : NARROW_CLIENTS;
    return deliver(arena, {
      clients,
      topics: { prefix: 'narrow', audiences: clients, topicsEach: 1 },
      warmUp: 3,
      events: quick ? 6 : 12,
      settleMs: quick ? 0 : SETTLE_MS,
      isBounded: false,
    });
  },
};

interface Plan {
  readonly clients: number;
  readonly topics: TopicPlan;
  /** Events that each client receives, before the measurement and during it. */
  readonly warmUp: number;
  readonly events: number;
  readonly settleMs: number;
  /** Whether publishers wait for a client that is too far behind. */
  readonly isBounded: boolean;
}

async function deliver(arena: Arena, plan: Plan): Promise<Values> {
  const { clients, topics, warmUp, events, settleMs, isBounded } = plan;
  const { load, publisher, system } = arena;
  const opened = await load.call(
    'open',
    arena.clients({ clients, topics, eventBytes: EVENT_BYTES }),
  );
  verify('opening', opened.faults);
  const publish = async (eventsEach: number) => {
    await load.call('expect', { events: eventsEach });
    const used = arena.measure();
    const published = publisher.call('publishRequests', {
      target: system.target,
      topics,
      eventBytes: EVENT_BYTES,
      publishers: PUBLISHERS,
      batch: BATCH,
      eventsEach,
      onlyAllowed: isBounded,
    });
    // Where a process ends, the calls below tell it.
    if (isBounded) bound(arena, eventsEach, published).catch(() => {});
    // Where publishing fails, nobody waits for what will not come.
    const received = await Promise.race([
      load.call('received', { timeoutMs: TIMEOUT_MS }),
      published.then(() => new Promise<never>(() => {})),
    ]);
    const spent = used();
    const { startedUs } = await published;
    verify('receiving', received.faults);
    return { spent, seconds: (received.lastUs - startedUs) / 1e6 };
  };
  await publish(warmUp);
  await sleep(settleMs);
  const { spent, seconds } = await publish(events);
  const deliveries = clients * events;
  return {
    perSecond: deliveries / seconds,
    perServingSecond: deliveries / spent.serving,
    perWholeSecond: deliveries / spent.whole,
    deliveries,
    ...circumstances(spent),
  };
}

/** Lets the publishers send what keeps the slowest client near, until they have sent everything. */
async function bound(
  { load, publisher }: Arena,
  events: number,
  published: Promise<unknown>,
): Promise<void> {
  let isDone = false;
  const done = () => {
    isDone = true;
  };
  published.then(done, done);
  while (!isDone) {
    const least = await load.call('least', {});
    await publisher.call('allowRequests', { events: least + BEHIND_MAX });
    if (least >= events) return;
    await sleep(POLL_MS);
  }
}
