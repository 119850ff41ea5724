import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMetrics } from '../../bench/system/gateway-metrics.ts';
import { verify } from '../../bench/system/measurement.ts';
import { Stage } from '../../bench/system/stage.ts';
import { queuedBytes, readKernelMemory } from '../kernel-memory.ts';
import { LARGE_BYTES, type Scale } from '../scale.ts';

const TOPICS = { prefix: 'stalled', audiences: 1, topicsEach: 1 };
const TIMEOUT_MS = 60_000;
const FILL_EVENTS = 1000;
const FILLS_MAX = 30;
const POLL_MS = 200;

/**
 * WebSocket clients stop reading, and events are published until their sockets are full.
 *
 * @returns bytes of the kernel for the gateway's end of one: its share of all buffers by what is queued
 */
export async function measureStalled({ stalled }: Scale): Promise<number> {
  const stage = await Stage.open({});
  try {
    const gateway = await stage.startGateway();
    const load = await stage.startLoad();
    const publisher = await stage.startPublisher();
    const opened = await load.call('open', {
      ...stage.clientPlan(gateway.port),
      eventBytes: LARGE_BYTES,
      timed: false,
      check: 'sequence',
      clients: stalled,
      topics: TOPICS,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening', opened.faults);
    const before = readKernelMemory();
    await load.call('pause', { paused: true });
    const plan = { topics: TOPICS, events: FILL_EVENTS, eventBytes: LARGE_BYTES, perSecond: 0 };
    for (let fills = 0; fills < FILLS_MAX; fills++) {
      await publisher.call('publish', plan);
      await sleep(POLL_MS);
      const metrics = await readMetrics(gateway.url);
      if ((metrics.get('tidemark_gateway_connections_behind') ?? 0) >= stalled) break;
    }
    const after = readKernelMemory();
    const { sent, received } = queuedBytes(readFileSync('/proc/net/tcp', 'utf8'), gateway.port);
    const growth = (after?.tcpBytes ?? 0) - (before?.tcpBytes ?? 0);
    return Math.max(sent, (growth * sent) / Math.max(1, sent + received)) / stalled;
  } finally {
    await stage.close();
  }
}
