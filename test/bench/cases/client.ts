import type { ReadReport } from '../client/event-reader.ts';
import type { ReaderCommands } from '../client/reader.ts';
import { verify } from '../system/measurement.ts';
import { Stage } from '../system/stage.ts';
import { topicOf } from '../wire/topics.ts';
import type { BenchCase, Values } from './bench-case.ts';

const EVENTS = 1_000_000;
const EVENT_BYTES = 300;
const TOPICS = { prefix: 'client', audiences: 1, topicsEach: 1 };
const TOPIC = topicOf(TOPICS, 0, 0);
/** The heap after all events is compared with that after this part of them. */
const HEAP_PART = 10;
const READER = new URL('../client/reader.ts', import.meta.url);

export const client: BenchCase = {
  name: 'client',
  title: `client library: ${EVENTS.toLocaleString('en-US')} events through the async iterator`,
  sockets: 1,
  method: `One process of its own reads ${EVENTS} events of ${EVENT_BYTES} bytes in a \`for await\` loop of the client library, and checks that each is the next one. First over a WebSocket without a network, which makes the frames in the same process, in bursts of 150: the library alone. Then behind a gateway, from the archive of a replay service, with gateway, replay and client on this machine. Events through the time from the confirmation of the subscription to the last event. The heap is measured after a garbage collection, after a tenth of the events and after all of them; the time for that does not count.`,
  targets: [
    { value: 'alonePerSecond', text: 'events a second, alone', atLeast: 200_000, unit: '/s' },
    {
      value: 'gatewayPerSecond',
      text: 'events a second, by a gateway',
      atLeast: 200_000,
      unit: '/s',
    },
    { value: 'heapGrowthMiB', text: 'heap from a tenth to all events', atMost: 1, unit: 'MiB' },
  ],
  async run(options) {
    const events = options.quick ? EVENTS / 5 : EVENTS;
    const stage = await Stage.open(options);
    try {
      const alone = await readAlone(stage, events);
      const replay = await stage.startReplay();
      const publisher = await stage.startPublisher();
      const { lastSequence } = await publisher.call('publish', {
        topics: TOPICS,
        events,
        eventBytes: EVENT_BYTES,
        perSecond: 0,
      });
      await stage.untilProjected(replay, lastSequence);
      const gateway = await stage.startGateway();
      const reader = await stage.startWorker<ReaderCommands>(READER);
      const behind = await reader.call('readGateway', {
        ...planFor(events),
        url: gateway.url,
        token: stage.token,
        after: stage.cursor(0),
      });
      verify('by a gateway', behind.faults);
      const values = {
        ...valuesOf('alone', alone, events),
        ...valuesOf('gateway', behind, events),
      };
      const heapGrowthMiB = Math.max(growthMiB(alone), growthMiB(behind));
      return { ...values, heapGrowthMiB };
    } finally {
      await stage.close();
    }
  },
};

async function readAlone(stage: Stage, events: number): Promise<ReadReport> {
  const reader = await stage.startWorker<ReaderCommands>(READER);
  const alone = await reader.call('readMemory', { ...planFor(events), eventBytes: EVENT_BYTES });
  await reader.stop();
  verify('alone', alone.faults);
  return alone;
}

function planFor(events: number) {
  return { topic: TOPIC, events, heapAt: events / HEAP_PART };
}

function valuesOf(name: string, report: ReadReport, events: number): Values {
  const { seconds, cpuSeconds, heapLastBytes } = report;
  return {
    [`${name}PerSecond`]: events / seconds,
    [`${name}PerCpuSecond`]: events / cpuSeconds,
    [`${name}HeapMiB`]: heapLastBytes / 1024 ** 2,
  };
}

function growthMiB({ heapFirstBytes, heapLastBytes }: ReadReport): number {
  return (heapLastBytes - heapFirstBytes) / 1024 ** 2;
}
