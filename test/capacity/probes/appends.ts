import { statSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { measure } from '../../bench/system/measurement.ts';
import type { ServiceProcess } from '../../bench/system/service-process.ts';
import { Stage } from '../../bench/system/stage.ts';
import { type NewEvent, Publisher } from '../../support/publisher.ts';
import { WebSocketClient } from '../../support/web-socket-client.ts';
import type { Scale } from '../scale.ts';

const REQUESTS_PER_SECOND = 800;
const BATCH_EVENTS = 100;
const BATCHES = 100;
/** As many as the gateway lets a connection have in progress. */
const IN_FLIGHT = 64;
const TOPICS = { prefix: 'appends', audiences: 1, topicsEach: 1 };

/** What an event costs that a client publishes. Times are microseconds. */
export interface AppendCost {
  readonly ingestUs: number;
  readonly batchUs: number;
  readonly natsUs: number;
  readonly natsBatchUs: number;
  readonly gatewayUs: number;
  readonly streamBytes: number;
  readonly archiveBytes: number;
}

export async function measureAppends({ requests }: Scale, bytes: number): Promise<AppendCost> {
  const stage = await Stage.open({});
  try {
    const ingest = await stage.startIngest();
    const publisher = await stage.startPublisher();
    const post = (events: number) =>
      publisher.call('post', {
        url: ingest.url,
        token: stage.token,
        topics: TOPICS,
        events,
        eventBytes: bytes,
        perSecond: REQUESTS_PER_SECOND,
      });
    await post(Math.ceil(requests / 4));
    const emptyArchive = statSync(stage.archiveFile).size;
    const before = await streamState(stage.nats.url);
    const posting = await measure(ingest);
    await post(requests);
    const posted = await posting();
    const after = await streamState(stage.nats.url);
    const batches = await measureBatches(stage, ingest, bytes);
    const archiveBytes = await archived(stage, emptyArchive);
    return {
      ingestUs: (posted.cpuSeconds * 1e6) / requests,
      ...batches,
      natsUs: (posted.natsSeconds * 1e6) / requests,
      gatewayUs: await measurePublishes(stage, { requests, bytes }),
      streamBytes: (after.bytes - before.bytes) / (after.messages - before.messages),
      archiveBytes,
    };
  } finally {
    await stage.close();
  }
}

async function measureBatches(stage: Stage, ingest: ServiceProcess, bytes: number) {
  const publisher = new Publisher(ingest.url, stage.token);
  const spent = await measure(ingest);
  for (let batch = 0; batch < BATCHES; batch++) {
    const event = (index: number) => eventOf(bytes, `batch-${batch}-${index}`);
    await publisher.storeAll(Array.from({ length: BATCH_EVENTS }, (_, index) => event(index)));
  }
  const { cpuSeconds, natsSeconds } = await spent();
  const events = BATCHES * BATCH_EVENTS;
  return { batchUs: (cpuSeconds * 1e6) / events, natsBatchUs: (natsSeconds * 1e6) / events };
}

/** Copies the stream into the archive. @returns bytes of its file for an event */
async function archived(stage: Stage, emptyBytes: number): Promise<number> {
  const { messages } = await streamState(stage.nats.url);
  const replay = await stage.startReplay();
  await stage.untilProjected(replay, messages);
  // Its end writes everything into the one file.
  await replay.stop();
  return (statSync(stage.archiveFile).size - emptyBytes) / messages;
}

async function measurePublishes(
  stage: Stage,
  { requests, bytes }: { readonly requests: number; readonly bytes: number },
): Promise<number> {
  const gateway = await stage.startGateway();
  let next = 0;
  let answered = 0;
  let end = 0;
  let done = () => {};
  let fault: string | undefined;
  const client = new WebSocketClient(gateway.url, {
    token: stage.token,
    onMessage: (message) => {
      if (message.type === 'error') fault = JSON.stringify(message);
      if (message.type !== 'published' && message.type !== 'error') return;
      answered++;
      if (next < end) send();
      if (answered === end) done();
    },
  });
  const send = () => {
    const id = String(next++);
    client.send({ type: 'publish', id, event: eventOf(bytes, `socket-${id}`) });
  };
  const publish = (count: number) => {
    end = next + count;
    const published = new Promise<void>((resolve) => {
      done = resolve;
    });
    for (let index = 0; index < Math.min(count, IN_FLIGHT); index++) send();
    return published;
  };
  await client.first('welcome');
  await publish(Math.ceil(requests / 4));
  const spent = await measure(gateway);
  await publish(requests);
  const { cpuSeconds } = await spent();
  if (fault !== undefined) throw new Error(`The gateway refused a publish: ${fault}`);
  await client.close();
  return (cpuSeconds * 1e6) / requests;
}

function eventOf(bytes: number, id: string): NewEvent {
  const event = {
    specversion: '1.0',
    id,
    source: '/bench',
    type: 'bench.tick',
    topic: 'appends.0',
  };
  const length = JSON.stringify({ ...event, data: { pad: '' } }).length;
  return { ...event, data: { pad: 'x'.repeat(bytes - length) } };
}

async function streamState(natsUrl: string): Promise<{ bytes: number; messages: number }> {
  const connection = await connect({ servers: natsUrl });
  try {
    const { streams } = await jetstreamManager(connection);
    return (await streams.info(STREAM_NAME)).state;
  } finally {
    await connection.close();
  }
}
