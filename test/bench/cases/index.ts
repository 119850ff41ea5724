import { appends } from './appends.ts';
import type { BenchCase } from './bench-case.ts';
import { client } from './client.ts';
import { deep } from './deep.ts';
import { fairness } from './fairness.ts';
import { fanOutSse, fanOutTraced, fanOutWebSocket } from './fan-out.ts';
import { idleMemory } from './idle-memory.ts';
import { inbox } from './inbox.ts';
import { last } from './last.ts';
import { latency, latencyWide, latencyWideSse } from './latency.ts';
import { narrow } from './narrow.ts';
import { stalled } from './stalled.ts';
import { steady } from './steady.ts';
import { stormCold, stormTail } from './storm.ts';

/** In the order of the table. */
export const cases: readonly BenchCase[] = [
  appends,
  fanOutWebSocket,
  fanOutSse,
  fanOutTraced,
  steady,
  narrow,
  latency,
  latencyWide,
  latencyWideSse,
  idleMemory,
  stormTail,
  stormCold,
  deep,
  client,
  last,
  stalled,
  inbox,
  fairness,
];
