import type { Principal } from '@tidemark/auth';
import { isSameLog, type LogBounds } from '@tidemark/protocol';
import { Connection } from '../../services/gateway/src/connections/connection.ts';
import type { ConnectionContext } from '../../services/gateway/src/connections/context.ts';
import type { Encoder } from '../../services/gateway/src/connections/encoder.ts';
import type { ConnectionObserver } from '../../services/gateway/src/connections/observer.ts';
import { Registry } from '../../services/gateway/src/connections/registry.ts';
import { createCore } from '../../services/gateway/src/core.ts';
import type { EventLog } from '../../services/gateway/src/log/event-log.ts';
import type { Gateway } from '../../services/gateway/src/transports/gateway.ts';
import { sseEncoder } from '../../services/gateway/src/transports/sse/encoder.ts';
import { webSocketEncoder } from '../../services/gateway/src/transports/websocket/encoder.ts';
import { WebSocketSession } from '../../services/gateway/src/transports/websocket/session.ts';
import { LoopClock } from './clock.ts';
import type { Device } from './device.ts';
import { SimulatedFeed } from './feed.ts';
import { StreamAccess } from './stream-access.ts';
import { SimulatedArchives, SimulatedStream } from './tiers.ts';
import { type LogVersion, NO_VERSION } from './versions.ts';
import { ensure, Violation } from './violation.ts';
import type { World } from './world.ts';

const NOT_OBSERVED: ConnectionObserver = {
  subscribed: () => undefined,
  unsubscribed: () => {},
  gap: () => {},
  closing: () => {},
};

const SUBSCRIPTIONS_MAX = 100;
const PUBLISHES_MAX = 8;
const COLD_WAIT_MS = 5000;

/** One gateway process: the real core, and a feed that the world drives. */
export class SimulatedGateway {
  readonly name: string;
  readonly clock: LoopClock;
  readonly core: ConnectionContext;
  readonly registry: Registry;
  /** The version of the log that the gateway has known since its feed last began. */
  version: LogVersion = NO_VERSION;
  /** How often the log has restarted, which moves all of its connections at once. */
  restarts = 0;
  readonly archives: SimulatedArchives;
  readonly feed: SimulatedFeed;
  readonly #world: World;
  /** The pattern that the next token permits. */
  #grant = '>';

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.clock = new LoopClock(world.clock);
    const { profile } = world;
    const access = new StreamAccess(world, this.clock, name);
    this.archives = new SimulatedArchives(world, this.clock);
    this.core = createCore({
      stream: new SimulatedStream(world, access),
      archive: this.archives.tier,
      clock: this.clock,
      tail: profile.tail,
      coldReadsMax: profile.coldReadsMax,
      coldWaitMs: COLD_WAIT_MS,
    });
    this.core.log.addListener({
      suspend: () => {
        this.restarts++;
        return () => {};
      },
    });
    this.feed = new SimulatedFeed(world, {
      core: this.core,
      access,
      name,
      onBegin: (bounds) => this.#begin(bounds),
    });
    this.registry = new Registry({
      clock: this.clock,
      tasks: this.core.tasks,
      counters: this.core.counters,
      connectionsMax: 1000,
      heartbeatMs: profile.heartbeatMs,
      idleTimeoutMs: profile.heartbeatMs * 3,
      stallTimeoutMs: profile.stallTimeoutMs,
      tokenGraceMs: 0,
      wallMs: () => world.clock.nowMs,
    });
  }

  get log(): EventLog {
    return this.core.log;
  }

  accept(device: Device): void {
    const { core, registry } = this;
    const sse = device.transport === 'sse';
    const connection = new Connection({
      context: core,
      user: device.name,
      observer: NOT_OBSERVED,
      sink: device.socket,
      encoder: this.#watch(sse ? sseEncoder : webSocketEncoder),
      ...(sse && { onFailed: () => connection.close('unavailable', 'Failed.') }),
    });
    const member = {
      id: 'id',
      connection,
      transport: device.transport,
      principal: principal('>'),
      address: '',
      connectedMs: this.clock.nowMs(),
      lastReceivedMs: this.clock.nowMs(),
      finish: async () => {},
    };
    registry.addMember(member);
    device.connection = connection;
    device.member = member;
    if (!sse) this.#listen(device, connection);
  }

  /** Renews the client's token with one that permits less. */
  narrow(device: Device, pattern: string): void {
    this.#grant = pattern;
    device.say(JSON.stringify({ type: 'authenticate', token: 'next' }));
  }

  /** Notes which version of the log it knows from now on, and what it cannot see of the losses before. */
  #begin(bounds: LogBounds): void {
    const { version: before, log } = this;
    const { history } = this.#world;
    const { view } = history.version;
    const { epoch, earlier } = bounds;
    const lineage = { epoch, ...(earlier && { earlier }) };
    const isKnown = log.begun && isSameLog(before.epoch, epoch);
    const losses = isKnown ? history.losses(epoch, before.view, view) : [];
    const unseen = losses.filter(({ through }) => {
      // What has expired meanwhile cannot be compared.
      const from = Math.max(through, history.firstSequence - 1, log.tail.followedAfter);
      const entries = log.tail.between(from, bounds.lastSequence);
      const last = entries.at(-1);
      return last === undefined || history.at(last.sequence) === undefined;
    });
    const blind = unseen.map(({ through }) => ({ after: through, to: bounds.lastSequence }));
    if (isKnown && before.blind) blind.push(before.blind);
    // What lies before the tail, or was filled into it, cannot be compared either.
    const compared = Math.max(log.tail.followedAfter, history.firstSequence - 1);
    for (const { through } of losses) {
      if (through < compared) blind.push({ after: through, to: compared });
    }
    const after = Math.min(...blind.map((range) => range.after));
    const to = Math.max(...blind.map((range) => range.to));
    this.#world.note(() => {
      const { firstSequence, lastSequence } = bounds;
      const range = `${firstSequence}-${lastSequence}`;
      return `${this.name} begins on ${epoch} ${range}, blind after ${after}`;
    });
    this.version = { epoch, lineage, view, ...(blind.length > 0 && { blind: { after, to } }) };
  }

  #listen(device: Device, connection: Connection): void {
    const gateway = {
      core: this.core,
      registry: this.registry,
      logger: { error: ({ err }: { err: unknown }) => this.#world.fail(err) },
      authenticate: async () => principal(this.#grant),
      confirm: () => {},
      limits: { hit: () => {} },
    } as unknown as Gateway;
    const session = new WebSocketSession({
      gateway,
      connection,
      connectionId: 'id',
      principal: principal('>'),
      address: '',
      limits: {
        subscriptionsMax: SUBSCRIPTIONS_MAX,
        publishesMax: PUBLISHES_MAX,
        connectionPatternsMax: Number.POSITIVE_INFINITY,
      },
      newId: () => 'id',
      charge: () => {},
      report: { resumed: () => {}, limited: () => {}, refused: () => {} },
      catchUpLimit: { begin: async (_id, _start, subscribe) => subscribe() },
      onTrace: () => {},
      onPrincipal: () => {},
    });
    device.say = (text) => session.receive(text);
  }

  /** Wraps an encoder and checks the messages that it encodes. */
  #watch(encoder: Encoder): Encoder {
    const { coldReads } = this.core;
    const { tail } = this.log;
    return {
      ...encoder,
      live: (id, position) => {
        ensure(position.sequence === tail.head, 'live', () => {
          return `live was told at ${position.sequence} when the head was ${tail.head}`;
        });
        const { coldReadsMax } = this.#world.profile;
        const { underWay } = coldReads;
        ensure(underWay <= coldReadsMax, 'bounded work', () => `${underWay} cold reads`);
        return encoder.live(id, position);
      },
      error: (id, error) => {
        if (error.code === 'internal') throw new Violation('fault', error.message);
        return encoder.error(id, error);
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
