import { ACTS, publishOne } from './actions.ts';
import type { Action } from './profile.ts';
import { ensure, Violation } from './violation.ts';
import { World } from './world.ts';

export interface Run {
  readonly seed: number;
  readonly steps: number;
  readonly trace?: (line: string) => void;
}

export interface Outcome {
  readonly seed: number;
  /** Events that the readers received; a world with none tests nothing. */
  readonly received: number;
  /** Appends that were acknowledged, in worlds with copies of the stream. */
  readonly appended: number;
  readonly failure?: Violation;
}

/** Most steps that a world without faults may need to come to rest. */
const SETTLE_STEPS_MAX = 500_000;

const EVENTS_PER_HEARTBEAT = 8;

/** The actions that go on when the faults have ended. */
const SETTLING: readonly Action[] = [
  'openFeed',
  'openArchive',
  'feedArchive',
  'writeArchive',
  'turn',
  'request',
  'timer',
  'deliver',
  'flush',
  'arrive',
  'connect',
];

/** Those of worlds in which events are erased. */
const FINISHING: readonly Action[] = ['eraseArchive', 'eraseStream'];

/**
 * Runs one world. Its seed decides each of its steps. After them all faults end, and then every reader
 * must become live and have every event.
 */
export async function simulate({ seed, steps, trace }: Run): Promise<Outcome> {
  const world = new World(seed, trace);
  const onRejection = (error: unknown): void => world.fail(error);
  process.on('unhandledRejection', onRejection);
  try {
    await disturb(world, steps);
    await settle(world);
    await rest(world);
    return { seed, ...totals(world) };
  } catch (error) {
    const failure = error instanceof Violation ? error : asViolation(error);
    world.note(() => `FAILED ${failure.message}`);
    return { seed, ...totals(world), failure };
  } finally {
    world.publisher.close();
    process.off('unhandledRejection', onRejection);
  }
}

async function disturb(world: World, steps: number): Promise<void> {
  const { random, profile, clock } = world;
  if (profile.alike) await gather(world);
  const total = [...profile.weights.values()].reduce((sum, weight) => sum + weight, 0);
  for (let step = 0; step < steps; step++) {
    let at = random.next() * total;
    let chosen: Action = 'turn';
    for (const [action, weight] of profile.weights) {
      chosen = action;
      at -= weight;
      if (at < 0) break;
    }
    await act(world, chosen);
    clock.elapse(random.next() * profile.stepMs);
  }
}

/** Connects all readers at the beginning, for worlds that test a crowd. */
async function gather(world: World): Promise<void> {
  await act(world, 'openFeed');
  while (await act(world, 'request'));
  while (await act(world, 'connect'));
}

/** Ends all faults and runs the world until it comes to rest. */
async function settle(world: World): Promise<void> {
  world.note(() => 'the faults end');
  world.calm = true;
  world.stale = undefined;
  world.undecidedUntilMs = 0;
  world.natsUp = true;
  world.trouble();
  for (const replay of world.replays) replay.up = true;
  for (const { socket } of world.devices) {
    socket.stalled = false;
    socket.kernelBytesMax = Number.POSITIVE_INFINITY;
  }
  let rests = 0;
  for (let step = 0; step < SETTLE_STEPS_MAX; step++) {
    if (await goOn(world)) continue;
    // A gateway that retention overtook learns that only with the next event.
    if (++rests === 1) publishOne(world);
    else if (isSettled(world)) return;
    const { nextMs } = world.clock;
    ensure(nextMs !== undefined, 'settled', () => `nothing moves: ${describe(world)}`);
    world.clock.nowMs = Math.max(world.clock.nowMs, nextMs ?? 0);
  }
  ensure(false, 'settled', () => `no end: ${describe(world)}`);
}

/**
 * Checks a world with nothing left to deliver. While one topic stays active, the cursors of the quiet
 * subscriptions must advance too. When that topic stops, heartbeats must have the head, and no reader
 * may lack an event.
 */
async function rest(world: World): Promise<void> {
  const { heartbeatMs } = world.profile;
  const before = world.history.lastSequence;
  for (let beat = 0; beat < 3 * EVENTS_PER_HEARTBEAT; beat++) {
    publishOne(world);
    await pass(world, heartbeatMs / EVENTS_PER_HEARTBEAT);
  }
  checkAdvanced(world, before);
  await pass(world, 3 * heartbeatMs);
  checkAdvanced(world, world.history.lastSequence);
  for (const reader of world.readers) reader.checkComplete(world.history.version);
  checkErased(world);
  for (const { connection, name } of world.devices) {
    ensure(connection?.live ?? false, 'settled', () => `${name} is not live`);
  }
}

/** Checks that each erased event has left the stream and every archive that has read its record. */
function checkErased({ history, replays }: World): void {
  for (const { deleted, sequence } of history.erased) {
    const readers = replays.filter(({ archive }) => archive.isErased(sequence));
    const isGone = readers.every(({ archive }) => archive.findRecord(sequence) === undefined);
    ensure(isGone && (deleted === true || readers.length === 0), 'erased', () => {
      return `${sequence} is erased, and still there`;
    });
  }
}

function checkAdvanced({ readers }: World, sequence: number): void {
  for (const { id, cursor } of readers) {
    ensure((cursor?.sequence ?? 0) >= sequence, 'idle clients advance', () => {
      return `${id} is at ${cursor?.sequence} and everything up to ${sequence} is long past`;
    });
  }
}

/** Lets time pass, and runs everything that is due in it. */
async function pass(world: World, ms: number): Promise<void> {
  const { clock } = world;
  const untilMs = clock.nowMs + ms;
  while (clock.nowMs < untilMs) {
    if (await goOn(world)) continue;
    clock.nowMs = Math.max(clock.nowMs, Math.min(clock.nextMs ?? untilMs, untilMs));
  }
}

/** Runs one thing that is due, in an order that the seed decides. @returns false if there is none */
async function goOn(world: World): Promise<boolean> {
  const actions = world.erasing ? [...SETTLING, ...FINISHING] : [...SETTLING];
  while (actions.length > 0) {
    if (await act(world, world.random.removeAny(actions))) return true;
  }
  return false;
}

async function act(world: World, action: Action): Promise<boolean> {
  const done = ACTS[action](world);
  if (done === undefined) return false;
  world.note(() => done);
  // All promises that are settled run their continuations before the next step.
  await new Promise((resolve) => setImmediate(resolve));
  world.throwFailure();
  return true;
}

function isSettled({ readers, devices, gateways, replays, history }: World): boolean {
  const { epoch } = history.version;
  return (
    replays.every(({ archive }) => archive.open) &&
    gateways.every(({ feed, log }) => feed.open && log.epoch === epoch) &&
    readers.every(({ state, live, closing }) => state === 'confirmed' && live && !closing) &&
    [...devices].every(({ connection }) => connection?.live)
  );
}

function describe({ readers, history, gateways }: World): string {
  const { epoch, firstSequence, lastSequence } = history.bounds();
  const waiting = readers
    .filter(({ state, live }) => state !== 'confirmed' || !live)
    .map(({ id, state, cursor }) => `${id} ${state} ${cursor?.epoch}-${cursor?.sequence}`);
  const heads = gateways.map(({ name, log }) => `${name} ${log.tail.floor}-${log.tail.head}`);
  const lines = [...waiting, ...heads, `stream ${epoch} ${firstSequence}-${lastSequence}`];
  return lines.join(', ');
}

function totals({ readers, publisher }: World): { received: number; appended: number } {
  const received = readers.reduce((sum, reader) => sum + reader.received, 0);
  return { received, appended: publisher.acknowledged };
}

function asViolation(error: unknown): Violation {
  const violation = new Violation('fault', error instanceof Error ? error.message : String(error));
  if (error instanceof Error && error.stack) violation.stack = error.stack;
  return violation;
}
