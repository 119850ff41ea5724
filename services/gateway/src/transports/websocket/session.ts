import type { Principal } from '@tidemark/auth';
import { requireAdmin, requirePermission, requireUnexpired } from '@tidemark/auth';
import type { AppendedEvent } from '@tidemark/nats';
import {
  asTidemarkError,
  type ClientMessage,
  type CloudEvent,
  completeEvent,
  parseClientMessage,
  parseEvent,
  requirePublishable,
  TidemarkError,
  withContext,
} from '@tidemark/protocol';
import { type Span, sampledContextOf } from '@tidemark/telemetry';
import type { CatchUpLimit } from '../../connections/catch-up-limit.ts';
import type { Connection } from '../../connections/connection.ts';
import type { ConnectionReport } from '../../observability/reports/connection-report.ts';
import { SUBSCRIBE_COST_BYTES } from '../costs.ts';
import type { Gateway } from '../gateway.ts';
import { Coverage } from './coverage.ts';
import { textFrame, webSocketEncoder } from './encoder.ts';

/** What a token is taken to cost: its signature, and its parts. It is checked in pieces that nobody can measure. */
const TOKEN_MS = 0.1;
const TOKEN_CHARACTER_MS = 30e-6;

export interface SessionLimits {
  readonly subscriptionsMax: number;
  readonly publishesMax: number;
  /** Most patterns in all subscriptions of the connection together. */
  readonly connectionPatternsMax: number;
}

type SessionReport = Pick<ConnectionReport, 'resumed' | 'limited' | 'refused'>;

export interface SessionOptions {
  readonly gateway: Gateway;
  readonly connection: Connection;
  /** The id that `welcome` names. */
  readonly connectionId: string;
  readonly principal: Principal;
  /** Wrong tokens count for it. */
  readonly address: string;
  readonly limits: SessionLimits;
  newId(): string;
  /** Counts what a message costs, in bytes of the user's rate. */
  charge(bytes: number): void;
  readonly report: SessionReport;
  /** Called when the client asks for traces to show its deliveries. */
  onTrace(): void;
  onPrincipal(principal: Principal): void;
  /** Limits the catch-ups of the user. */
  readonly catchUpLimit: Pick<CatchUpLimit, 'begin'>;
}

type MessageOf<T extends ClientMessage['type']> = Extract<ClientMessage, { type: T }>;

/** Carries out the messages of one WebSocket client (PROTOCOL.md section 6). */
export class WebSocketSession {
  readonly #options: SessionOptions;
  #principal: Principal;
  #publishing = 0;
  #renewing = false;
  #finished: (() => void) | undefined;
  /** The last subscription that begins with what is stored from now on. A publish after it belongs to it. */
  #beginning: Promise<void> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#principal = options.principal;
  }

  get principal(): Principal {
    return this.#principal;
  }

  /** Stops accepting messages. Resolves when every publish in progress has been answered. */
  async finish(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#finished = resolve;
      if (this.#publishing === 0) resolve();
    });
  }

  receive(text: string): void {
    // A peer may send more messages before it learns that the connection is closed.
    if (this.#finished || this.#options.connection.closed) return;
    const message = parseClientMessage(text);
    if ('error' in message) {
      this.#refuse(message.id, message.error);
      return;
    }
    const id = 'id' in message ? message.id : undefined;
    this.#perform(message).catch((error) => this.#refuse(id, asTidemarkError(error)));
  }

  refuseBinary(): void {
    this.#refuse(
      undefined,
      new TidemarkError('invalid_message', 'A message must be a text frame; this one is binary.'),
    );
  }

  /** Refuses a message above the rate. The error names its id, so that the client can repeat it. */
  refuseTooFast(text: string, perSecondMax: number): void {
    if (this.#finished || this.#options.connection.closed) return;
    const message = parseClientMessage(text);
    const id = 'id' in message ? message.id : undefined;
    const reason = `A connection may send ${perSecondMax} messages a second.`;
    this.#refuse(id, new TidemarkError('limit_exceeded', reason, { retryAfterSeconds: 1 }));
  }

  async #perform(message: ClientMessage): Promise<void> {
    // In the grace period after expiry a client may send a newer token, and begin nothing.
    const uses = message.type === 'publish' || message.type === 'subscribe';
    if (uses) requireUnexpired(this.#principal, Date.now());
    switch (message.type) {
      case 'subscribe':
        return this.#subscribe(message);
      case 'unsubscribe':
        return this.#unsubscribe(message);
      case 'publish':
        return this.#publish(message);
      case 'authenticate':
        return this.#authenticate(message);
      case 'ping':
        return this.#options.connection.send(textFrame({ type: 'pong' }));
    }
  }

  async #subscribe({ id, trace, ...subscribing }: MessageOf<'subscribe'>): Promise<void> {
    const { connection, limits, catchUpLimit } = this.#options;
    this.#options.charge(SUBSCRIBE_COST_BYTES[subscribing.start.kind]);
    for (const pattern of subscribing.patterns) {
      requirePermission(this.#principal, 'subscribe', pattern);
    }
    if (connection.has(id)) {
      throw new TidemarkError('conflict', `There is already a subscription ${JSON.stringify(id)}.`);
    }
    if (connection.subscriptions >= limits.subscriptionsMax) {
      throw connectionLimit('subscriptions', `${limits.subscriptionsMax} subscriptions`);
    }
    const patterns = [...connection.patternsById().values()].reduce(
      (sum, one) => sum + one.length,
      0,
    );
    if (patterns + subscribing.patterns.length > limits.connectionPatternsMax) {
      throw connectionLimit('connection_patterns', `${limits.connectionPatternsMax} patterns`);
    }
    if (trace) {
      requireAdmin(this.#principal);
      this.#options.onTrace();
    }
    if (subscribing.start.kind === 'cursor') this.#options.report.resumed();
    const subscribe = () => connection.subscribe(id, subscribing);
    const subscribed = catchUpLimit.begin(id, subscribing.start, subscribe);
    if (subscribing.start.kind === 'latest') this.#noteBeginning(subscribed);
    await subscribed;
  }

  #noteBeginning(subscribed: Promise<void>): void {
    const begun = (): void => {
      if (this.#beginning === beginning) this.#beginning = undefined;
    };
    const beginning = subscribed.then(begun, begun);
    this.#beginning = beginning;
  }

  async #unsubscribe({ id }: MessageOf<'unsubscribe'>): Promise<void> {
    const { connection } = this.#options;
    if (!connection.unsubscribe(id)) {
      throw new TidemarkError('not_found', `There is no subscription ${JSON.stringify(id)}.`);
    }
    connection.send(webSocketEncoder.unsubscribed(id));
  }

  async #publish({ id, event }: MessageOf<'publish'>): Promise<void> {
    const { gateway, connection, connectionId } = this.#options;
    const { publishes } = gateway.reports;
    const received = { event, connection: connectionId };
    const stored = await publishes.follow(received, (span) => this.#append(event, span));
    connection.send(textFrame({ type: 'published', id, ...stored }));
  }

  async #append(input: unknown, span: Span): Promise<AppendedEvent> {
    const { gateway, limits } = this.#options;
    const newId = () => this.#options.newId();
    const publisher = this.#principal.subject;
    const nowMs = Date.now();
    const completed = completeEvent(input, { publisher, nowMs, newId });
    const event = { ...parseEvent(completed, 'event'), publisher };
    requirePublishable(event, nowMs, 'event');
    requirePermission(this.#principal, 'publish', event.topic);
    if (this.#publishing >= limits.publishesMax) {
      throw connectionLimit('publishes', `${limits.publishesMax} events that wait for the stream`);
    }
    const waiting = gateway.appends.open(publisher);
    this.#publishing++;
    try {
      waiting.take(1);
      await this.#beginning;
      gateway.publishes.consume(publisher);
      const sent = withContext(event, sampledContextOf(span)) as CloudEvent;
      return await gateway.appender.append(sent, { parent: span });
    } finally {
      waiting.release();
      this.#publishing--;
      // Called later, so that a failure has been answered too.
      if (this.#publishing === 0) gateway.core.clock.soon(() => this.#finished?.());
    }
  }

  async #authenticate({ token }: MessageOf<'authenticate'>): Promise<void> {
    const { gateway, connection, address } = this.#options;
    if (this.#renewing) throw connectionLimit('authenticates', 'an authenticate in progress');
    this.#renewing = true;
    try {
      const authorization = `Bearer ${token}`;
      const principal = await gateway.authenticate({ headers: { authorization }, address });
      gateway.core.userWork.charge(TOKEN_MS + token.length * TOKEN_CHARACTER_MS, connection.flow);
      if (principal.subject !== this.#principal.subject) {
        throw new TidemarkError('forbidden', 'The token belongs to somebody else.');
      }
      const uncovered = await this.#compare(principal);
      this.#renew(principal, uncovered);
    } finally {
      this.#renewing = false;
    }
  }

  /** Resolves in the turn in which all subscriptions are compared, with a pattern of each that is not covered. */
  #compare(principal: Principal): Promise<ReadonlyMap<string, string>> {
    const { gateway, connection } = this.#options;
    const { userWork, clock } = gateway.core;
    return new Promise((resolve) => {
      const nowMs = () => clock.nowMs();
      const coverage = new Coverage({ connection, principal, nowMs, onChecked: resolve });
      userWork.schedule(coverage, connection.flow);
    });
  }

  /** Until now the former token has counted, so that no subscription outlives what covers it. */
  #renew(principal: Principal, uncovered: ReadonlyMap<string, string>): void {
    const { gateway, connection } = this.#options;
    gateway.confirm(principal);
    this.#principal = principal;
    this.#options.onPrincipal(principal);
    connection.send(textFrame({ type: 'authenticated' }));
    for (const [id, pattern] of uncovered) {
      connection.unsubscribe(id);
      this.#refuse(id, new TidemarkError('forbidden', `The new token does not cover ${pattern}.`));
    }
  }

  #refuse(id: string | undefined, error: TidemarkError): void {
    const { connection, gateway, report } = this.#options;
    if (error.limit !== undefined) gateway.limits.hit(error.limit);
    if (error.code === 'limit_exceeded') report.limited(error.message);
    if (error.status === 401 || error.status === 403) report.refused(error.code, error.message);
    if (error.code === 'internal') gateway.logger.error({ err: error.cause }, 'a message failed');
    connection.send(webSocketEncoder.error(id, error.toBody()));
  }
}

function connectionLimit(limit: string, what: string): TidemarkError {
  return new TidemarkError('limit_exceeded', `The connection already has ${what}.`, { limit });
}
