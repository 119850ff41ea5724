import { ERASURES_TOPIC } from '@tidemark/protocol';
import type { Device } from './device.ts';
import type { SimulatedGateway } from './gateway.ts';
import type { Action } from './profile.ts';
import type { Reader } from './reader.ts';
import { anyStart, formatStart, ownStart } from './starts.ts';
import type { World } from './world.ts';

/** @returns a line for the trace; `undefined` when there was nothing to do */
type Act = (world: World) => string | undefined;

/** How many events are lost at most. */
const LOST_MAX = [15, 15, 100];

/** What a server that was held up lacks at most, and how long it may take to learn that. */
const STALE_LAG_MAX = 40;
const STALE_MS_MAX = 2500;
const STALE_PAUSE_MS = 5000;
/** Longer than an append waits. */
const UNDECIDED_MS_MAX = 2500;
const FLOOD_EVENTS = 600;

/** Least time that a server needs to come back. */
const AWAY_MS = 2;

/** More events than a reader examines in one step through the tail. */
const DEEP_FLOOD_EVENTS = 6000;

/** Everything that can happen in a world, each in one small step. */
export const ACTS: Readonly<Record<Action, Act>> = {
  turn(world) {
    const gateway = some(world, world.gateways, ({ clock }) => clock.busy);
    if (!gateway) return undefined;
    world.turn(gateway);
    return `turn of ${gateway.name}`;
  },
  request(world) {
    if (world.requests.count === 0) return undefined;
    return `arrives: ${world.requests.arrive()}`;
  },
  loseRequest(world) {
    if (world.requests.count === 0) return undefined;
    world.trouble();
    return `lost: ${world.requests.lose()}`;
  },
  timer({ clock }) {
    if (!clock.due) return undefined;
    clock.fire();
    return 'timer';
  },
  flush(world) {
    const device = someDevice(world, ({ socket }) => socket.moves);
    device?.socket.flush(piece(world));
    return device && `${device.name} sends`;
  },
  arrive(world) {
    const device = someDevice(world, ({ socket }) => socket.moves);
    if (!device) return undefined;
    device.socket.arrive(piece(world));
    device.answerPings(world.clock.nowMs);
    return `${device.name} receives`;
  },
  deliver(world) {
    const gateway = some(world, world.gateways, ({ feed }) => feed.behind);
    gateway?.feed.bring(world.random.pick([1, 1, 3, 10, 1000]));
    return gateway && `${gateway.name} is fed`;
  },
  openFeed(world) {
    const gateway = some(world, world.gateways, ({ feed }) => feed.idle);
    if (!gateway || !world.natsUp) return undefined;
    void gateway.feed.start();
    return `${gateway.name} starts its feed`;
  },
  loseFeed(world) {
    const gateway = some(world, world.gateways, ({ feed }) => feed.open);
    if (!gateway) return undefined;
    gateway.feed.lose();
    return `${gateway.name} loses its feed`;
  },
  publish(world) {
    if (!world.natsUp) return undefined;
    return publish(world, world.random.pick([1, 1, 1, 2, 10]));
  },
  flood(world) {
    if (!world.natsUp) return undefined;
    const { deep } = world.profile;
    const first = !world.flooded;
    world.flooded = true;
    return publish(world, first && deep ? DEEP_FLOOD_EVENTS : FLOOD_EVENTS, 0);
  },
  expire(world) {
    const { history, random } = world;
    const { firstSequence, lastSequence } = history;
    const through = random.chance(0.1)
      ? lastSequence
      : firstSequence + random.between(0, Math.ceil((lastSequence - firstSequence) / 2));
    // Replay is never away for so long that retention removes the place of a loss. It could not find it.
    history.expire(Math.min(through, ...world.replays.map(({ archive }) => archive.lostFrom - 1)));
    return `expired through ${history.firstSequence - 1}`;
  },
  feedArchive(world) {
    const replay = some(world, world.replays, ({ up, archive }) => up && archive.behind);
    if (!world.natsUp || !replay) return undefined;
    replay.receive(world.random.pick([1, 20, 1000]));
    return `${replay.name} is fed`;
  },
  openArchive(world) {
    const replay = some(world, world.replays, ({ up, idle }) => up && idle);
    if (!world.natsUp || !replay) return undefined;
    void replay.start();
    return `${replay.name} starts its feed`;
  },
  writeArchive(world) {
    const replay = some(world, world.replays, ({ archive }) => archive.writing);
    replay?.archive.write();
    return replay && `${replay.name} is at ${replay.archive.end}`;
  },
  connect(world) {
    const away = world.readers.filter(({ state }) => state === 'away');
    const gateway = some(world, world.gateways, ({ log }) => log.begun);
    if (away.length === 0 || !gateway) return undefined;
    return connect(world, gateway, away);
  },
  disconnect(world) {
    const device = someDevice(world, () => true);
    device?.end('the network broke');
    return device && `${device.name} is gone`;
  },
  subscribe(world) {
    const device = someDevice(world, ({ transport }) => transport === 'websocket');
    const reader = some(world, world.readers, ({ state }) => state === 'away');
    if (!device || !reader) return undefined;
    return subscribe(world, device, reader);
  },
  unsubscribe(world) {
    const device = someDevice(world, ({ transport }) => transport === 'websocket');
    const reader = device && some(world, [...device.readers.values()], ({ closing }) => !closing);
    if (!device || !reader) return undefined;
    device.unsubscribe(reader);
    return `${device.name} unsubscribes ${reader.id}`;
  },
  stale(world) {
    const { random, history, clock, stale } = world;
    if (!world.profile.cluster || !world.natsUp) return undefined;
    // Servers that are held up again and again would be believed in the end.
    if (stale && clock.nowMs < stale.untilMs + STALE_PAUSE_MS) return undefined;
    const bounds = history.bounds();
    const lastSequence = bounds.lastSequence - random.between(0, random.pick([0, STALE_LAG_MAX]));
    if (lastSequence < bounds.firstSequence) return undefined;
    const untilMs = clock.nowMs + random.between(100, STALE_MS_MAX);
    world.trouble(untilMs);
    world.stale = {
      bounds: { ...bounds, lastSequence },
      createdMs: history.createdMs,
      leader: random.chance(0.5) ? 's2' : undefined,
      gateway: random.pick(world.gateways).name,
      untilMs,
    };
    return `a server knows the stream up to ${lastSequence}`;
  },
  append(world) {
    return world.profile.cluster ? world.publisher.append() : undefined;
  },
  undecide(world) {
    if (!world.profile.cluster) return undefined;
    const ms = world.random.between(20, UNDECIDED_MS_MAX);
    world.undecidedUntilMs = world.clock.nowMs + ms;
    return `the stream decides on no condition for ${ms} ms`;
  },
  narrow(world) {
    const device = someDevice(world, ({ transport }) => transport === 'websocket');
    if (!device) return undefined;
    device.gateway.narrow(device, 'a.>');
    return `${device.name} has a narrower token`;
  },
  stall(world) {
    const device = someDevice(world, () => true);
    if (!device) return undefined;
    device.socket.stalled = !device.socket.stalled;
    return `${device.name} stalls: ${device.socket.stalled}`;
  },
  killNats(world) {
    if (!world.natsUp) return undefined;
    world.natsUp = false;
    world.loseNats();
    return 'NATS is away';
  },
  reviveNats(world) {
    if (world.natsUp) return undefined;
    world.natsUp = true;
    world.trouble();
    return 'NATS is back';
  },
  loseEnd(world) {
    const { history, random } = world;
    const { firstSequence, lastSequence } = history;
    if (lastSequence < firstSequence) return undefined;
    const last = Math.max(
      firstSequence - 1,
      lastSequence - random.between(1, random.pick(LOST_MAX)),
    );
    world.loseNats();
    history.loseEnd(last, Math.max(...world.replays.map(({ archive }) => archive.end)));
    world.stale = undefined;
    // A server is away for a moment, so its next messages have other times.
    world.clock.elapse(AWAY_MS);
    return `the stream lost its end after ${last}`;
  },
  newEpoch(world) {
    world.loseNats();
    world.clock.elapse(AWAY_MS);
    world.history.beginLog(world.clock.nowMs);
    world.publisher.followEpoch();
    world.stale = undefined;
    return `a new stream: ${world.history.version.epoch}`;
  },
  toggleArchive(world) {
    const replay = world.random.pick(world.replays);
    replay.toggle();
    return `${replay.name} is there: ${replay.up}`;
  },
  rebuildArchive({ random, replays }) {
    const replay = random.pick(replays);
    replay.rebuild();
    return `${replay.name} is built anew`;
  },
  restartGateway(world) {
    const gateway = world.random.pick(world.gateways);
    world.restart(gateway);
    return `${gateway.name} is killed`;
  },
  erase({ natsUp, history, random, clock }) {
    const { firstSequence, lastSequence } = history;
    if (!natsUp || lastSequence < firstSequence) return undefined;
    const recent = Math.max(firstSequence, lastSequence - random.pick([5, 100, 10_000]));
    const record = history.at(random.between(recent, lastSequence));
    if (!record?.valid || record.erasedBy || record.topic === ERASURES_TOPIC) return undefined;
    history.recordErasure(record, Math.floor(clock.nowMs));
    return `an operator erases ${record.sequence}, says ${history.lastSequence}`;
  },
  eraseArchive(world) {
    const replay = some(world, world.replays, ({ up, archive }) => up && archive.erase());
    world.noteGone();
    return replay && `${replay.name} has erased what it knows of`;
  },
  eraseStream(world) {
    const { natsUp, history } = world;
    const replay = some(world, world.replays, ({ up, archive }) => {
      return up && archive.open && archive.undeleted !== undefined;
    });
    const record = replay?.archive.undeleted;
    if (!natsUp || !record) return undefined;
    history.delete(record);
    world.noteGone();
    return `${replay?.name} deletes ${record.sequence} from the stream`;
  },
  elapse(world) {
    const ms = world.random.pick([10, 100, 1000]);
    // A gateway waits for the archive for longer than a write takes.
    for (const { archive } of world.replays) if (ms > 100 && archive.writing) archive.write();
    world.clock.elapse(ms);
    return `${ms} ms pass`;
  },
};

/** How many bytes a socket moves in one step. */
function piece({ random, calm }: World): number {
  return calm ? Number.POSITIVE_INFINITY : random.pick([1, 500, 20_000, 200_000]);
}

/** Opens a client's connection with one or several subscriptions. */
function connect(world: World, gateway: SimulatedGateway, away: Reader[]): string {
  const { random } = world;
  const { transports, alike } = world.profile;
  const device = world.connect(gateway, random.pick(transports));
  const count = device.transport === 'sse' || alike ? 1 : random.pick([1, 1, 2, 3, 5]);
  const asked: string[] = [];
  for (let index = 0; index < count && away.length > 0; index++) {
    asked.push(subscribe(world, device, random.removeAny(away)));
  }
  return `${device.name} connects to ${gateway.name} by ${device.transport}: ${asked.join('; ')}`;
}

/** Publishes a small event on the one topic that stays active when all others are quiet. */
export function publishOne({ history, profile, clock }: World): void {
  const [topic = 'a'] = profile.topics;
  history.publish({ topic, type: 't', timeMs: Math.floor(clock.nowMs), padding: 0, valid: true });
}

function publish(world: World, count: number, paddingMax = world.profile.paddingMax): string {
  const { random, history, profile, clock } = world;
  for (let index = 0; index < count; index++) {
    if (profile.holes && random.chance(0.05)) history.leaveHole();
    const large = random.chance(profile.large);
    history.publish({
      topic: random.pick(profile.topics),
      type: random.pick(profile.types),
      timeMs: Math.floor(clock.nowMs),
      padding: large ? random.between(50_000, 150_000) : random.between(0, paddingMax),
      valid: !random.chance(profile.invalid),
    });
  }
  return `published up to ${history.lastSequence}`;
}

function subscribe(world: World, device: Device, reader: Reader): string {
  const start =
    reader.cursor && world.random.chance(0.9) ? ownStart(reader.cursor) : anyStart(world);
  const { deliver, types = 'all types' } = reader;
  const after = formatStart(start);
  device.ask(reader, start, after);
  return `${reader.id} ${reader.patterns} ${types} ${deliver} from ${after}`;
}

function someDevice(world: World, test: (device: Device) => boolean): Device | undefined {
  return some(world, [...world.devices], test);
}

function some<T>({ random }: World, all: readonly T[], test: (one: T) => boolean): T | undefined {
  const found = all.filter(test);
  return found.length === 0 ? undefined : random.pick(found);
}
