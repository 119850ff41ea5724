import {
  type AppendClock,
  EventAppender,
  KnownEnd,
  type NatsLink,
  StreamSeal,
} from '@tidemark/nats';
import { type CloudEvent, parseCursor, TidemarkError } from '@tidemark/protocol';
import type { Logger, Metrics, Tracer } from '@tidemark/telemetry';
import { AppendServer, SEAL_METADATA } from './append-server.ts';
import { LoopClock } from './clock.ts';
import type { LogVersion, StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';
import type { World } from './world.ts';

/** No other publisher appends to it, so each condition is right while the stream keeps what it has. */
const TOPIC = 'c.chain';
const TIMEOUT_MS = 1000;
const INBOX = '_INBOX.publisher';
/** Where less time is left than the longest pause takes, an append may end. */
const LAST_PAUSE_MS = 160;

/** An event under way. It is repeated with the same id and condition until it is stored or refused. */
interface Attempt {
  readonly event: CloudEvent;
  /** The topic's last event, as its publisher knows it. */
  readonly expected: StoredRecord | undefined;
  readonly epoch: string;
}

/** A publisher with a chain of conditional appends, through the real `EventAppender`. */
export class SimulatedPublisher {
  readonly #world: World;
  readonly #server: AppendServer;
  readonly #seal = new StreamSeal();
  readonly #appender: EventAppender;
  readonly #stopping = new AbortController();
  #onChange: () => void = () => {};
  /** Appends that were acknowledged. */
  acknowledged = 0;
  #busy = false;
  #count = 0;
  #attempt: Attempt | undefined;
  #last: StoredRecord | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#seal.learn(SEAL_METADATA);
    const clock = new LoopClock(world.clock);
    this.#server = new AppendServer(world, clock);
    const { signal } = this.#stopping;
    this.#appender = new EventAppender(this.#createLink(), {
      service: 'publisher',
      timeoutMs: TIMEOUT_MS,
      pendingMax: 10,
      logger: SILENT,
      metrics: NO_METRICS,
      tracer: { enabled: false } as Tracer,
      signal,
      clock: createClock(world, clock),
    });
  }

  /** Called when the server reports that the stream has changed. */
  followEpoch(): void {
    this.#onChange();
  }

  close(): void {
    this.#stopping.abort();
  }

  /** Appends the next event, or one again that got no answer. */
  append(): string | undefined {
    if (this.#busy || !this.#world.natsUp) return undefined;
    this.#attempt ??= this.#next();
    const attempt = this.#attempt;
    this.#busy = true;
    this.#run(attempt).then(
      () => {
        this.#busy = false;
      },
      (error) => this.#world.fail(error),
    );
    return `publishes ${attempt.event.id} after ${attempt.expected?.sequence ?? 'nothing'}`;
  }

  #next(): Attempt {
    const id = String(++this.#count);
    const event: CloudEvent = { specversion: '1.0', id, source: '/p', type: 't', topic: TOPIC };
    const { epoch } = this.#world.history.version;
    const isThere = this.#last !== undefined && this.#isHeld(this.#last);
    return { event, expected: isThere ? this.#last : undefined, epoch };
  }

  async #run(attempt: Attempt): Promise<void> {
    const { event, expected, epoch } = attempt;
    const { history, clock } = this.#world;
    const begun = { version: history.version, nowMs: clock.nowMs };
    this.#server.begin();
    try {
      const { cursor } = await this.#appender.append(event, {
        // The first of a chain, and one after a loss, has no condition.
        precondition: expected && { epoch, sequence: expected.sequence },
      });
      this.#attempt = undefined;
      this.acknowledged++;
      this.#checkStored(event, cursor, begun.version);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      this.#checkRefusal(error, attempt, begun);
      if (error.code === 'precondition_failed') this.#attempt = undefined;
    }
  }

  #checkStored(event: CloudEvent, cursor: string, version: LogVersion): void {
    const { id } = event;
    const record = this.#server.find(this.#seal.messageId(event));
    this.#last = record;
    if (this.#hasChanged(version)) return;
    const { sequence, epoch } = parseCursor(cursor);
    const { history } = this.#world;
    // A repeat that was still on its way is stored again once retention has removed the first, or an erasure has.
    const isErased = history.erased.some((one) => one.sequence === sequence && one.deleted);
    const isGone = sequence < history.firstSequence || isErased;
    const isTold = record?.sequence === sequence || isGone;
    const isRight = !record || (isTold && epoch === version.epoch);
    ensure(isRight, 'append', () => `${id} is at ${record?.sequence} and was told ${cursor}`);
    ensure(
      record !== undefined || isGone,
      'append',
      () => `${id} was told ${cursor}, and is not there`,
    );
  }

  #checkRefusal(
    { code }: TidemarkError,
    { event, expected, epoch }: Attempt,
    { version, nowMs }: { readonly version: LogVersion; readonly nowMs: number },
  ): void {
    if (this.#hasChanged(version) || epoch !== version.epoch) return;
    if (code === 'precondition_failed') {
      const isStored = this.#server.find(this.#seal.messageId(event)) !== undefined;
      ensure(!isStored, 'append', () => `${event.id} is stored and was refused`);
      // A condition that names an event which has expired cannot be judged.
      const isRight = expected !== undefined && this.#isHeld(expected);
      ensure(
        !isRight,
        'append',
        () => `${event.id} was refused, and ${expected?.sequence} is the last`,
      );
    }
    const tookMs = this.#world.clock.nowMs - nowMs;
    const { isUndecided } = this.#server;
    const gaveUp = isUndecided && tookMs < TIMEOUT_MS - LAST_PAUSE_MS;
    ensure(!gaveUp, 'append', () => `${event.id} was given up after ${tookMs} ms`);
  }

  #isHeld(record: StoredRecord): boolean {
    return this.#world.history.at(record.sequence) === record;
  }

  #hasChanged({ epoch, view }: LogVersion): boolean {
    const { version } = this.#world.history;
    return version.epoch !== epoch || version.view !== view;
  }

  #createLink(): NatsLink {
    const world = this.#world;
    const server = this.#server;
    const link = {
      connection: {
        request: server.request.bind(server),
        publish: server.publish.bind(server),
        closed: () => new Promise(() => {}),
        options: {},
      },
      knownEnd: new KnownEnd(() => world.clock.nowMs),
      seal: this.#seal,
      get connected() {
        return world.natsUp;
      },
      apiPrefix: '$JS.API',
      apiSubject: (operation: string) => `$JS.API.${operation}`,
      onConnect: () => () => {},
      onPublishRefused: () => {},
      createInbox: () => INBOX,
      subscribe: (subject: string, { onMessage }: { onMessage: (message?: object) => void }) => {
        if (!subject.startsWith(INBOX)) this.#onChange = onMessage;
        else server.onAcknowledgement((reply, data) => onMessage({ subject: reply, data }));
      },
    };
    return link as unknown as NatsLink;
  }
}

const SILENT = { error: () => {}, warn: () => {}, info: () => {} } as unknown as Logger;

const NO_METRICS = {
  keptHistogram: () => {},
  gauge: () => {},
  gaugeBy: () => {},
} as unknown as Metrics;

function createClock({ random }: World, clock: LoopClock): AppendClock {
  return {
    nowMs: () => clock.nowMs(),
    random: () => random.next(),
    pause: (ms) => new Promise<void>((resolve) => void clock.after(ms, resolve)),
  };
}
