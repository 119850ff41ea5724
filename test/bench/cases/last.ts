import { WebSocket } from 'ws';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { SHORT_TAIL, Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const TOPICS = 10_000;
const EVENTS = 5_000_000;
const EVENT_BYTES = 300;
/** The topics are written in parts, each in another place of the log. */
const PARTS = 50;
const EVENTS_OF_TOPIC = 5;
const OTHER_TOPICS = 40_000;
const STARTS = 9;
const TIMEOUT_MS = 60_000;

export const last: BenchCase = {
  name: 'last',
  title: 'last: the newest events of 10,000 topics among 5,000,000',
  sockets: 1,
  method: `${TOPICS} topics with ${EVENTS_OF_TOPIC} events each lie in ${PARTS} places of ${EVENTS} events of ${EVENT_BYTES} bytes on ${OTHER_TOPICS} other topics. One client after the other subscribes to the ${TOPICS} with \`after: "last"\`; the time from its \`subscribe\` to its \`live\`, the median of ${STARTS}, at a gateway that started after the events.`,
  targets: [{ value: 'medianMs', text: 'subscribe to live', atMost: 300, unit: 'ms' }],
  async run(options) {
    const parts = options.quick ? PARTS / 10 : PARTS;
    const stage = await Stage.open(options);
    try {
      const replay = await stage.startReplay();
      const publisher = await stage.startPublisher();
      const plan = { eventBytes: EVENT_BYTES, perSecond: 0 };
      for (let part = 0; part < parts; part++) {
        const audiences = TOPICS / parts;
        const own = { prefix: `last.${part}`, audiences, topicsEach: 1 };
        const ownEvents = audiences * EVENTS_OF_TOPIC;
        await publisher.call('publish', { ...plan, topics: own, events: ownEvents });
        const others = { prefix: 'other', audiences: OTHER_TOPICS, topicsEach: 1 };
        const events = EVENTS / PARTS - ownEvents;
        const { lastSequence } = await publisher.call('publish', {
          ...plan,
          topics: others,
          events,
        });
        await stage.untilProjected(replay, lastSequence);
      }
      const gateway = await stage.startGateway(SHORT_TAIL);
      const replaySpent = await measure(replay);
      const spent = await measure(gateway);
      const times: number[] = [];
      for (let start = 0; start < STARTS; start++) times.push(await timeStart(stage, gateway.port));
      const { cpuSeconds, otherCores, load: loadAverage } = await spent();
      const { cpuSeconds: replaySeconds } = await replaySpent();
      const sorted = times.toSorted((left, right) => left - right);
      return {
        medianMs: sorted[Math.floor(STARTS / 2)] ?? Number.NaN,
        firstMs: times[0] ?? Number.NaN,
        slowestMs: sorted.at(-1) ?? Number.NaN,
        gatewayCpuMs: (cpuSeconds * 1000) / STARTS,
        replayCpuMs: (replaySeconds * 1000) / STARTS,
        loopBlockMaxMs: loopBlockMaxMs(await readMetrics(gateway.url)),
        otherCores,
        loadAverage,
      };
    } finally {
      await stage.close();
    }
  },
};

/** @returns how long one client took from its `subscribe` to its `live`, in ms */
async function timeStart({ token }: Stage, port: number): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`, ['tidemark.v1'], {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  const topics = new Set<string>();
  let startMs = Number.NaN;
  const faults: string[] = [];
  try {
    return await new Promise<number>((resolve, reject) => {
      setTimeout(() => reject(new Error('The client is not live.')), TIMEOUT_MS).unref();
      socket.on('error', reject);
      socket.on('message', (bytes: Buffer) => {
        const text = bytes.toString('latin1');
        if (text.startsWith('{"type":"last"')) {
          topics.add(/"topic":"([^"]+)"/.exec(text)?.[1] ?? '');
        } else if (text.startsWith('{"type":"welcome"')) {
          startMs = performance.now();
          const subscribe = { type: 'subscribe', id: 's', topics: ['last.>'], after: 'last' };
          socket.send(JSON.stringify(subscribe));
        } else if (text.startsWith('{"type":"live"')) resolve(performance.now() - startMs);
        else if (!text.startsWith('{"type":"subscribed"')) faults.push(text.slice(0, 200));
      });
    });
  } finally {
    if (topics.size !== TOPICS) faults.push(`${topics.size} of ${TOPICS} topics came`);
    verify('last events', faults);
    socket.terminate();
  }
}
