import { type Costs, lineThrough, type SizedCost, without } from './costs.ts';
import { measureAppends } from './probes/appends.ts';
import { measureNarrowCatchUp, measureWideCatchUp } from './probes/catch-up.ts';
import { measureConnections } from './probes/connections.ts';
import { measureOwn, measureShared } from './probes/deliveries.ts';
import { measureEvents } from './probes/events.ts';
import { measureStalled } from './probes/stalled.ts';
import { measureTopics } from './probes/topics.ts';
import { LARGE_BYTES, type Scale, SMALL_BYTES } from './scale.ts';

/**
 * Measures all costs, each with processes of its own.
 *
 * @param step names what comes next and runs it
 * @throws Unverified where a client got something else than what was published
 */
export async function measureCosts(
  scale: Scale,
  step: <T>(text: string, run: () => Promise<T>) => Promise<T>,
): Promise<Costs> {
  const { connections, sharing, owning, events, topics, stalled } = scale;
  const bothSizes = async <T>(text: string, run: (bytes: number) => Promise<T>) => ({
    small: await step(`${text}, ${SMALL_BYTES} bytes`, () => run(SMALL_BYTES)),
    large: await step(`${text}, ${LARGE_BYTES} bytes`, () => run(LARGE_BYTES)),
  });
  const idleText = (transport: string) => `${connections} idle connections, ${transport}`;
  const websocket = await step(idleText('WebSocket'), () => measureConnections('websocket', scale));
  const sse = await step(idleText('SSE'), () => measureConnections('sse', scale));
  const stalledKernelBytes = await step(`${stalled} clients that do not read`, () =>
    measureStalled(scale),
  );
  const shareText = (transport: string) => `one topic, ${sharing} readers, ${transport}`;
  const sharedWebSocket = await step(shareText('WebSocket'), () =>
    measureShared('websocket', scale),
  );
  const sharedSse = await step(shareText('SSE'), () => measureShared('sse', scale));
  const own = await bothSizes(`${owning} readers, each its own topic`, (bytes) =>
    measureOwn(scale, bytes),
  );
  const stored = await bothSizes(`${events} events, no reader`, (bytes) =>
    measureEvents(scale, bytes),
  );
  const appends = await bothSizes('appends', (bytes) => measureAppends(scale, bytes));
  const wide = await bothSizes('catch-up of everything', (bytes) =>
    measureWideCatchUp(scale, bytes),
  );
  const narrow = await step('catch-up of few topics each', () => measureNarrowCatchUp(scale));
  const memory = await step(`${topics} topics`, () => measureTopics(scale));

  const receive = line(stored, ({ gatewayUs }) => gatewayUs);
  const write = sharedLine(sharedWebSocket);
  const { fixedBytes, ...webSocketIdle } = websocket;
  const { fixedBytes: _, ...sseIdle } = sse;
  return {
    websocket: { ...webSocketIdle, write, batchedUs: sharedWebSocket.batchedUs },
    sse: { ...sseIdle, write: sharedLine(sharedSse), batchedUs: sharedSse.batchedUs },
    gateway: {
      residentBytes: fixedBytes,
      receive,
      fanOut: without(
        line(own, (us) => us),
        receive,
        write,
      ),
      // The gateway also receives what it appends.
      append: without(
        line(appends, ({ gatewayUs }) => gatewayUs),
        receive,
      ),
      wideCatchUp: line(wide, ({ gatewayUs }) => gatewayUs),
      narrowCatchUpUs: narrow.gatewayUs,
      topicBytes: memory.gatewayTopicBytes,
    },
    ingest: {
      append: line(appends, ({ ingestUs }) => ingestUs),
      batchAppend: line(appends, ({ batchUs }) => batchUs),
    },
    nats: {
      append: line(appends, ({ natsUs }) => natsUs),
      batchAppend: line(appends, ({ natsBatchUs }) => natsBatchUs),
      feed: line(stored, ({ feedUs }) => feedUs),
      topicBytes: memory.natsTopicBytes,
      messageIdBytes: memory.messageIdBytes,
      appendsPerSecond: stored.small.appendsPerSecond,
    },
    replay: {
      project: line(stored, ({ replayUs }) => replayUs),
      wideCatchUp: line(wide, ({ replayUs }) => replayUs),
      narrowCatchUpUs: narrow.replayUs,
    },
    stored: {
      stream: line(appends, ({ streamBytes }) => streamBytes),
      archive: line(appends, ({ archiveBytes }) => archiveBytes),
    },
    stalledKernelBytes,
  };
}

function line<T>(
  { small, large }: { readonly small: T; readonly large: T },
  value: (measured: T) => number,
): SizedCost {
  return lineThrough(
    { bytes: SMALL_BYTES, value: value(small) },
    { bytes: LARGE_BYTES, value: value(large) },
  );
}

function sharedLine({
  writeSmallUs,
  writeLargeUs,
}: {
  readonly writeSmallUs: number;
  readonly writeLargeUs: number;
}): SizedCost {
  return line({ small: writeSmallUs, large: writeLargeUs }, (us) => us);
}
