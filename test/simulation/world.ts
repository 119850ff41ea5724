import { type Deliver, matches } from '@tidemark/protocol';
import {
  FEED_SLICE_MS,
  TASK_SLICE_MS,
} from '../../services/gateway/src/scheduling/task-scheduler.ts';
import { WorldClock } from './clock.ts';
import { Device, type Transport } from './device.ts';
import { SimulatedGateway } from './gateway.ts';
import { History } from './history.ts';
import { createPatterns, createProfile, createTypes, type Profile } from './profile.ts';
import { SimulatedPublisher } from './publisher.ts';
import { Random } from './random.ts';
import { Reader } from './reader.ts';
import type { Truth } from './reader-checks.ts';
import { SimulatedReplay } from './replay.ts';
import { Requests } from './requests.ts';
import type { SimulatedSocket } from './socket.ts';
import type { StaleServer } from './stream-access.ts';
import type { StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';

/** Members that a group writes to before it reads the clock. */
const WRITES_PER_STEP = 16;

/** A world: one stream, one archive, gateways and readers. */
export class World implements Truth {
  readonly random: Random;
  readonly profile: Profile;
  readonly clock = new WorldClock();
  readonly history = new History();
  readonly replays: SimulatedReplay[];
  readonly requests: Requests;
  readonly gateways: SimulatedGateway[];
  readonly publisher: SimulatedPublisher;
  readonly devices = new Set<Device>();
  readonly readers: Reader[];
  /** Prints what happens; `undefined` where no trace was asked for. */
  readonly trace: ((line: string) => void) | undefined;
  natsUp = true;
  /** Whether the faults have ended. Everything then moves as fast as it can. */
  calm = false;
  /** Whether the one deep flood has happened. */
  flooded = false;
  /** A server that was held up and has not heard of the others yet. */
  stale: StaleServer | undefined;
  /** Until when the stream cannot decide on conditions, because another append is not complete. */
  undecidedUntilMs = 0;
  #troubledUntilMs = 0;
  #failure: unknown;
  #deviceCount = 0;
  #lastSocket: SimulatedSocket | undefined;
  #writesInRow = 0;
  #writesInRowMax = 1;

  constructor(seed: number, trace?: (line: string) => void) {
    this.trace = trace;
    this.random = new Random(seed);
    this.profile = createProfile(this.random);
    this.requests = new Requests(this.random);
    this.replays = Array.from({ length: this.profile.archives }, (_, index) => {
      return new SimulatedReplay(this, `a${index + 1}`);
    });
    this.gateways = Array.from({ length: this.profile.gateways }, (_, index) => {
      return new SimulatedGateway(this, `g${index + 1}`);
    });
    this.publisher = new SimulatedPublisher(this);
    const shared = createPatterns(this.random, this.profile);
    const wishes = Array.from({ length: this.profile.readers }, (_, index) => {
      const patterns = this.profile.alike ? shared : createPatterns(this.random, this.profile);
      const deliver: Deliver = this.random.chance(this.profile.latest) ? 'latest' : 'all';
      // One of them takes all types, so that something is delivered.
      const types = index === 0 ? undefined : createTypes(this.random, this.profile);
      return { patterns, types, deliver };
    });
    // A world in which no event matches tests nothing, so all its readers want the first topic too.
    const { topics } = this.profile;
    const isMatched = wishes.some((wish) => !wish.types && matchesSome(wish.patterns, topics));
    const extra = isMatched ? [] : topics.slice(0, 1);
    this.readers = wishes.map(({ patterns, types, deliver }, index) => {
      const wanted = [...patterns, ...extra];
      return new Reader(`r${index + 1}`, { patterns: wanted, types, deliver, truth: this });
    });
  }

  get troubledUntilMs(): number {
    return this.natsUp ? this.#troubledUntilMs : Number.POSITIVE_INFINITY;
  }

  /** Notes that until this time not every request gets the answer that is true. */
  trouble(untilMs = this.clock.nowMs): void {
    this.#troubledUntilMs = Math.max(this.#troubledUntilMs, untilMs);
  }

  /** Notes a failure that was found where an error cannot be thrown into the run. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  note(line: () => string): void {
    this.trace?.(`${this.clock.nowMs.toFixed(1).padStart(9)} ${line()}`);
  }

  /** Whether events are erased in this world. */
  get erasing(): boolean {
    return this.profile.weights.has('erase');
  }

  /** Notes the erased events that are nowhere any more. */
  noteGone(): void {
    for (const record of this.history.erased) {
      if (this.gone(record)) record.goneMs ??= this.clock.nowMs;
    }
  }

  gone(record: StoredRecord): boolean {
    if (record.lost) return true;
    if (this.history.at(record.sequence) === record) return false;
    return !this.replays.some(({ archive }) => archive.holds(record));
  }

  connect(gateway: SimulatedGateway, transport: Transport): Device {
    const device = new Device({
      name: `d${++this.#deviceCount}`,
      gateway,
      transport,
      history: this.history,
      kernelBytesMax: this.profile.kernelBytesMax,
      wrote: ({ socket }) => this.#wrote(socket),
      onClosed: (closed, reason) => {
        this.devices.delete(closed);
        this.note(() => `${closed.name} is closed: ${reason}`);
      },
    });
    this.devices.add(device);
    gateway.accept(device);
    return device;
  }

  /** Runs one turn of a gateway's loop, and checks that the turn keeps its time limit. */
  turn(gateway: SimulatedGateway): void {
    const startMs = this.clock.nowMs;
    const { restarts } = gateway;
    this.#writesInRowMax = 1;
    gateway.clock.turn();
    const tookMs = this.clock.nowMs - startMs;
    const stepMs = WRITES_PER_STEP * this.#writesInRowMax * this.profile.writeMs;
    const limitMs = FEED_SLICE_MS + TASK_SLICE_MS + stepMs + this.profile.feedMs;
    const isKept = tookMs <= limitMs + 0.001 || gateway.restarts > restarts;
    ensure(isKept, 'turn', () => {
      return `a turn took ${tookMs} ms, and one step ${stepMs} ms`;
    });
    if (gateway.clock.busy) return;
    this.#checkHeld(gateway);
    this.#checkBehind(gateway);
  }

  restart(gateway: SimulatedGateway): void {
    const index = this.gateways.indexOf(gateway);
    gateway.clock.ended = true;
    for (const device of this.devices) {
      if (device.gateway === gateway) device.end('the gateway was killed');
    }
    this.gateways[index] = new SimulatedGateway(this, `${gateway.name}'`);
  }

  /** Breaks the connection of every process to NATS. */
  loseNats(): void {
    this.trouble();
    this.requests.loseAll();
    for (const { feed } of this.gateways) feed.lose();
    for (const replay of this.replays) replay.lose();
  }

  /** Checks that a connection with a full socket holds its positions and nothing else. */
  #checkHeld(gateway: SimulatedGateway): void {
    for (const { name, connection, socket, ...device } of this.devices) {
      if (device.gateway !== gateway || socket.writable) continue;
      // A catch-up reader that conflates keeps its events while it waits for the next page.
      if ([...device.readers.values()].some(({ deliver }) => deliver === 'latest')) continue;
      const { heldEvents = 0 } = connection ?? {};
      ensure(heldEvents === 0, 'bounded memory', () => `${name} holds ${heldEvents} events`);
    }
  }

  /** Checks that the connections that count as behind are those that catch up, and no others. */
  #checkBehind({ core: { behind }, registry, name }: SimulatedGateway): void {
    const catchingUp = [...registry.members()]
      .map(({ connection }) => connection)
      .filter((connection) => !connection.closed && connection.readers.length > 0);
    const counted = new Set(behind);
    ensure(
      counted.size === catchingUp.length && catchingUp.every((one) => counted.has(one)),
      'connections behind',
      () => `${name} counts ${counted.size}, and ${catchingUp.length} catch up`,
    );
    const slow = catchingUp.filter((one) => behind.slowSince(one) !== undefined);
    ensure(behind.slow === slow.length, 'slow connections', () => `${name} counts ${behind.slow}`);
  }

  #wrote(socket: SimulatedSocket): void {
    this.clock.elapse(this.profile.writeMs);
    this.#writesInRow = socket === this.#lastSocket ? this.#writesInRow + 1 : 1;
    this.#lastSocket = socket;
    this.#writesInRowMax = Math.max(this.#writesInRowMax, this.#writesInRow);
  }
}

function matchesSome(patterns: readonly string[], topics: readonly string[]): boolean {
  return patterns.some((pattern) => topics.some((topic) => matches(pattern, topic)));
}
