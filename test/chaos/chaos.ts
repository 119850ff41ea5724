import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../simulation/random.ts';
import { check, type Report } from './checker/check.ts';
import { openHistory } from './checker/files.ts';
import { Faults } from './faults/faults.ts';
import { planFaults } from './faults/plan.ts';
import { endOfStream, readFinal } from './final.ts';
import type { Attempts } from './load/attempts.ts';
import { Load } from './load/load.ts';
import { Recorder } from './recorder.ts';
import { startWorld, type World } from './world/world.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly servers: 1 | 3;
  readonly clients: number;
  readonly folder: string;
  /** By how much every bound is longer than usual: a slow machine must not look like a broken promise. */
  readonly patience: number;
}

const READY_MS = 90_000;

/** From the last fault until all are live; machines that run this have two cores for everything. */
const LIVE_MS = 60_000;
const EXPIRY_MS = 15_000;
const REVOCATION_MS = 10_000;
const HEARTBEAT_MS = 3000;
const DUPLICATES_S = 120;

/** In one of so many seeds the log may lose its end, after which the checker can tell less. */
const LOSSES_ONE_IN = 4;

/** In every other seed the stream is now and then too small for archives that are away. */
const RETENTION_ONE_IN = 2;

/** A tail of a second, so that clients that return read archive and stream to their ends; or one of several reads. */
const TAILS = ['50', '500', '2000'] as const;

const ENV = {
  TIDEMARK_STREAM_MAX_BYTES: String(2 * 1024 * 1024),
  TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS: String(DUPLICATES_S),
  TIDEMARK_GATEWAY_HEARTBEAT_MS: String(HEARTBEAT_MS),
  TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '8000',
  TIDEMARK_GATEWAY_SSE_RETRY_MS: '100',
  TIDEMARK_GATEWAY_DRAIN_MS: '500',
  // An archive that was lost is waited for so long. No fault keeps one away for longer.
  TIDEMARK_ARCHIVE_ABSENCE_SECONDS: '30',
};

/** What came out of a run. */
export interface ChaosResult {
  /** Whether every promise was kept. */
  readonly isKept: boolean;
  readonly deliveries: number;
}

/** Runs the system with faults, and checks what was seen. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, servers, clients, folder, durationMs, patience } = options;
  rmSync(folder, { recursive: true, force: true });
  const recorder = new Recorder(folder);
  const bounds = {
    liveMs: LIVE_MS * patience,
    expiryMs: EXPIRY_MS * patience,
    revocationMs: REVOCATION_MS * patience,
  };
  recorder.record({ kind: 'run', seed, ...bounds, duplicatesMs: DUPLICATES_S * 1000 });
  say(
    `seed ${seed}, ${servers} NATS, ${clients} clients, ${durationMs / 60_000} minutes; ${folder}`,
  );
  const env = {
    ...ENV,
    TIDEMARK_STREAM_REPLICAS: String(servers),
    TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: new Random(seed + 20).pick(TAILS),
  };
  const copies = join(folder, 'copies');
  const world = await startWorld({ servers, env, copies });
  const problems: string[] = [];
  let attempts: Attempts;
  try {
    if (!(await world.untilReady(READY_MS * patience))) {
      throw new Error(`Not ready at the start: ${await world.unready()}`);
    }
    attempts = await live(options, world, recorder, problems);
  } finally {
    recorder.close();
    await world.stop();
    rmSync(copies, { recursive: true, force: true });
  }
  say('checking');
  const report = check(openHistory(folder));
  show(report, attempts, problems);
  const isKept = report.first === undefined && problems.length === 0;
  return { isKept, deliveries: report.deliveries };
}

async function live(
  { seed, durationMs, clients, patience }: ChaosOptions,
  world: World,
  recorder: Recorder,
  problems: string[],
): Promise<Attempts> {
  const load = new Load({
    seed,
    clients,
    recorder,
    gateways: world.gateways,
    ingests: world.ingests,
    replays: world.replays,
    nats: world.nats.connection,
    deadAfterMs: 2 * HEARTBEAT_MS,
  });
  await load.start();
  const faults = new Faults(world, recorder);
  const supervision = new AbortController();
  const supervising = faults.supervise(supervision.signal);
  const names = (isNats: boolean) =>
    world.processes.filter(({ part }) => (part === 'nats') === isNats).map(({ name }) => name);
  await faults.run(
    planFaults({
      seed,
      durationMs,
      nats: names(true),
      services: names(false),
      links: world.links.map(({ name }) => name),
      disks: world.disks.names,
      losses: seed % LOSSES_ONE_IN === 0,
      retention: seed % RETENTION_ONE_IN === 1,
    }),
  );
  say(`healing; ${load.attempts.acknowledged} acknowledged`);
  if (!(await world.untilReady(READY_MS * patience))) {
    for (const name of await world.unready()) {
      problems.push(`${name} is not ready after the last fault:\n${world.logs(name).join('\n')}`);
    }
  }
  await load.settle();
  supervision.abort();
  await supervising;
  problems.push(...faults.crashes);
  const last = await endOfStream(world.nats);
  say(`settling at ${last}`);
  await load.untilCurrent(last, LIVE_MS * patience);
  const { removed } = faults;
  recorder.writeFinal(await readFinal(world, { tokens: load.tokens, recorder, removed }));
  // A connection may end at any time, for its token: the history ends when all are current.
  if (!(await load.untilCurrent(last, LIVE_MS * patience))) {
    const behind = load.behind(last);
    problems.push(`${behind.length} are behind ${last}: ${behind.slice(0, 10).join('; ')}`);
  }
  recorder.close();
  await load.stop();
  return load.attempts;
}

function show(
  { first, violations, exceptions, faults, records, ...counts }: Report,
  { attempts, acknowledged }: Attempts,
  problems: readonly string[],
): void {
  const { deliveries, subscriptions, items, events } = counts;
  console.log(`checked: ${deliveries} deliveries to ${subscriptions} subscriptions, ${items} items of history
appends: ${acknowledged} of ${attempts} acknowledged; the log has ${events} events
faults: ${list(faults)}
records: ${list(records)}
cannot be told: ${list(exceptions)}
violations: ${list(violations)}`);
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
  if (first)
    console.log(`VIOLATION ${first.check}: ${first.message}\n${first.timeline.join('\n')}`);
}

function list(counts: Readonly<Record<string, number>>): string {
  const texts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return texts.join(', ') || 'none';
}

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
}
