import { appends } from './appends.ts';
import type { BenchCase } from './bench-case.ts';
import { client } from './client.ts';
import { deep } from './deep.ts';
import { fairness } from './fairness.ts';
import { fanOutSse, fanOutTraced, fanOutWebSocket } from './fan-out.ts';
import { idleMemory, idleMemorySse } from './idle-memory.ts';
import { inbox } from './inbox.ts';
import { last } from './last.ts';
import { latency, latencyWide, latencyWideSse } from './latency.ts';
import { narrow } from './narrow.ts';
import { processes } from './processes.ts';
import { publish } from './publish.ts';
import { stalled } from './stalled.ts';
import { steady } from './steady.ts';
import { stormCold, stormTail } from './storm.ts';
import { stormArchive, stormDefault, stormLarge, stormRestart, stormScan } from './storm-return.ts';

/** In the order of the table. */
export const cases: readonly BenchCase[] = [
  appends,
  publish,
  fanOutWebSocket,
  fanOutSse,
  fanOutTraced,
  steady,
  narrow,
  processes,
  latency,
  latencyWide,
  latencyWideSse,
  idleMemory,
  idleMemorySse,
  stormTail,
  stormCold,
  stormDefault,
  stormLarge,
  stormRestart,
  stormScan,
  stormArchive,
  deep,
  client,
  last,
  stalled,
  inbox,
  fairness,
];
