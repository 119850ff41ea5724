import type { Principal } from '@tidemark/auth';
import { Connection } from '../../services/gateway/src/connections/connection.ts';
import type { Dialect } from '../../services/gateway/src/connections/encoder.ts';
import { Registry } from '../../services/gateway/src/connections/registry.ts';
import { Counts } from '../../services/gateway/src/counters/counters.ts';
import { Log } from '../../services/gateway/src/log/event-log.ts';
import type { Gateway } from '../../services/gateway/src/transports/gateway.ts';
import { sseDialect } from '../../services/gateway/src/transports/sse/encoder.ts';
import { webSocketDialect } from '../../services/gateway/src/transports/websocket/encoder.ts';
import { WebSocketPeer } from '../../services/gateway/src/transports/websocket/session.ts';
import { LoopScheduler } from './clock.ts';
import type { Device } from './device.ts';
import { SimulatedFeed } from './feed.ts';
import type { Place } from './history.ts';
import { createArchiveTier, SimulatedStream } from './tiers.ts';
import { ensure, Violation } from './violation.ts';
import type { World } from './world.ts';

const SUBSCRIPTIONS_MAX = 100;
const PUBLISHES_MAX = 8;
const COLD_WAIT_MS = 5000;

/** One gateway process: the real core, and a feed that the world drives. */
export class SimulatedGateway {
  readonly name: string;
  readonly scheduler: LoopScheduler;
  readonly counts = new Counts();
  readonly log: Log;
  readonly registry: Registry;
  /** What the gateway takes the log for, since its feed last began. */
  place: Place = { epoch: '', view: 0 };
  readonly feed: SimulatedFeed;
  readonly #world: World;
  /** What the next token permits. */
  #grant = '>';

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.scheduler = new LoopScheduler(world.clock);
    const { profile } = world;
    this.log = new Log({
      stream: new SimulatedStream(world),
      archive: createArchiveTier(world),
      scheduler: this.scheduler,
      counts: this.counts,
      tail: profile.tail,
      coldReadsMax: profile.coldReadsMax,
      coldWaitMs: COLD_WAIT_MS,
    });
    this.feed = new SimulatedFeed(world, this.log);
    this.registry = new Registry({
      scheduler: this.scheduler,
      turns: this.log.turns,
      connectionsMax: 1000,
      heartbeatMs: profile.heartbeatMs,
      idleTimeoutMs: profile.heartbeatMs * 3,
      stallTimeoutMs: profile.stallTimeoutMs,
      tokenGraceMs: 0,
      wallMs: () => world.clock.nowMs,
    });
  }

  openFeed(): void {
    this.place = this.#world.history.place;
    this.feed.begin();
  }

  accept(device: Device): void {
    const { log, registry } = this;
    const sse = device.transport === 'sse';
    const connection = new Connection({
      log,
      outlet: device.socket,
      dialect: this.#watch(sse ? sseDialect : webSocketDialect),
      ...(sse && { onFailed: () => connection.close('unavailable', 'Failed.') }),
    });
    const member = {
      id: 'id',
      connection,
      transport: device.transport,
      principal: principal('>'),
      heardMs: this.scheduler.nowMs(),
      finish: async () => {},
    };
    registry.add(member);
    device.connection = connection;
    device.member = member;
    if (!sse) this.#listen(device, connection);
  }

  /** The client's token is renewed and permits less. */
  narrow(device: Device, pattern: string): void {
    this.#grant = pattern;
    device.say(JSON.stringify({ type: 'authenticate', token: 'next' }));
  }

  #listen(device: Device, connection: Connection): void {
    const gateway = {
      log: this.log,
      registry: this.registry,
      logger: { error: ({ err }: { err: unknown }) => this.#world.fail(err) },
      authenticate: async () => principal(this.#grant),
      appender: () => undefined,
      limits: { hit: () => {} },
    } as unknown as Gateway;
    const peer = new WebSocketPeer({
      gateway,
      connection,
      connectionId: 'id',
      principal: principal('>'),
      limits: {
        subscriptionsMax: SUBSCRIPTIONS_MAX,
        publishesMax: PUBLISHES_MAX,
        connectionPatternsMax: Number.POSITIVE_INFINITY,
      },
      newId: () => 'id',
      onPrincipal: () => {},
    });
    device.say = (text) => peer.receive(text);
  }

  /** The dialect itself, with a look at what it says. */
  #watch(dialect: Dialect): Dialect {
    const { tail, cold } = this.log;
    return {
      ...dialect,
      live: (id, position) => {
        ensure(position.sequence === tail.head, 'live', () => {
          return `live was told at ${position.sequence} when the head was ${tail.head}`;
        });
        const { coldReadsMax } = this.#world.profile;
        ensure(cold.underWay <= coldReadsMax, 'bounded work', () => `${cold.underWay} cold reads`);
        return dialect.live(id, position);
      },
      error: (id, error) => {
        if (error.code === 'internal') throw new Violation('fault', error.message);
        return dialect.error(id, error);
      },
    };
  }
}

function principal(pattern: string): Principal {
  return {
    subject: 'reader',
    grants: [{ action: 'subscribe', pattern }],
    admin: false,
    expiresAtMs: Number.POSITIVE_INFINITY,
  };
}
