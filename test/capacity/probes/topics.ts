import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../../bench/system/process-figures.ts';
import { Stage } from '../../bench/system/stage.ts';
import { type Scale, SMALL_BYTES } from '../scale.ts';

/** Memory in bytes, for one topic or one message id. */
export interface TopicCost {
  readonly natsTopicBytes: number;
  readonly gatewayTopicBytes: number;
  readonly messageIdBytes: number;
}

/**
 * The same events three times, each with a server of its own: on one topic, on as many topics, and on one topic
 * with message ids. What the second and the third take more is the topics' and the ids'. It contains the room
 * that the garbage collectors of Go and Node leave, as in a deployment.
 */
export async function measureTopics({ topics, settleMs }: Scale): Promise<TopicCost> {
  const fillWith = (more: { readonly topics: number; readonly messageIds: boolean }) =>
    fill({ events: topics, settleMs, ...more });
  const plain = await fillWith({ topics: 1, messageIds: false });
  const spread = await fillWith({ topics, messageIds: false });
  const identified = await fillWith({ topics: 1, messageIds: true });
  return {
    natsTopicBytes: Math.max(0, spread.nats - plain.nats) / topics,
    gatewayTopicBytes: Math.max(0, spread.gateway - plain.gateway) / topics,
    messageIdBytes: Math.max(0, identified.nats - plain.nats) / topics,
  };
}

/** @returns resident bytes of NATS and of a gateway */
async function fill(options: {
  readonly events: number;
  readonly topics: number;
  readonly messageIds: boolean;
  readonly settleMs: number;
}) {
  const { events, topics, messageIds, settleMs } = options;
  const stage = await Stage.open({});
  try {
    const publisher = await stage.startPublisher();
    const gateway = await stage.startGateway();
    const { lastSequence } = await publisher.call('publish', {
      topics: { prefix: 'topic', audiences: topics, topicsEach: 1 },
      events,
      eventBytes: SMALL_BYTES,
      perSecond: 0,
      messageIds,
    });
    await stage.untilHead(gateway, lastSequence);
    await sleep(settleMs);
    return { nats: residentBytes(stage.nats.pid), gateway: residentBytes(gateway.pid) };
  } finally {
    await stage.close();
  }
}
