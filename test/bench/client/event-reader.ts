import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Tidemark } from '../../../libs/client/dist/types.js';
import { COUNTER_DIGITS } from '../wire/event-layout.ts';

export interface ReadPlan {
  readonly topic: string;
  readonly after: string;
  readonly events: number;
  /** The heap is looked at here, and at the end. */
  readonly heapAt: number;
}

export interface ReadReport {
  readonly faults: readonly string[];
  /** From the confirmation of the subscription to the last event, without the time for a look at the heap. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly heapFirstBytes: number;
  readonly heapLastBytes: number;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Reads events in a `for await` loop, as an application does, and checks that each is the next one. */
export async function readEvents(
  client: Tidemark,
  { topic, after, events, heapAt }: ReadPlan,
): Promise<ReadReport> {
  const subscription = client.subscribe(topic, { after });
  await subscription.ready;
  const startMs = performance.now();
  const before = process.cpuUsage();
  let lookMs = 0;
  const look = () => {
    const lookedAt = performance.now();
    collectGarbage();
    const { heapUsed } = process.memoryUsage();
    lookMs += performance.now() - lookedAt;
    return heapUsed;
  };
  const faults: string[] = [];
  let heapFirstBytes = 0;
  let count = 0;
  for await (const { id } of subscription) {
    count++;
    const counter = Number(id.slice(0, COUNTER_DIGITS));
    if (counter !== count && faults.length < 3)
      faults.push(`event ${counter} in place of ${count}`);
    if (count === heapAt) heapFirstBytes = look();
    if (count === events) break;
  }
  const seconds = (performance.now() - startMs - lookMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  const cpuSeconds = (user + system) / 1e6 - lookMs / 1000;
  return { faults, seconds, cpuSeconds, heapFirstBytes, heapLastBytes: look() };
}
