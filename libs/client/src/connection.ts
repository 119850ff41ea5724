import { backoffMs, SLOW_ATTEMPT } from './backoff.ts';
import type { Cancel, Environment } from './environment.ts';
import { closedError, isRefusal, TidemarkClientError } from './errors.ts';
import type { Http } from './http.ts';
import { Listeners } from './listeners.ts';
import { SilenceWatch } from './silence-watch.ts';
import type { OpenSubscription, SubscriptionHost } from './subscription.ts';
import type { TokenKeeper } from './token.ts';
import type { Transports } from './transports.ts';
import type { Status } from './types.ts';
import { type Ending, type Link, REFUSED, type ServerMessage } from './wire.ts';

/** A link that lasted so long was good: the next failure is the first of a new series. */
const GOOD_MS = 10_000;
/** In which time a link has to open. */
const OPEN_MS = 15_000;

/**
 * `idle`: nobody wants anything. `opening`: a token or the `welcome` is waited for. `open`: subscribed. `waiting`: for
 * the next attempt. `stopped`: until `authenticate`. `closed`: for ever.
 */
type Phase = 'idle' | 'opening' | 'open' | 'waiting' | 'stopped' | 'closed';

/**
 * The one connection of a client: opens it while there are subscriptions, keeps it, and brings it back. Each
 * attempt has a number; what an earlier attempt still says is not heard.
 */
export class Connection implements SubscriptionHost {
  readonly #transports: Transports;
  readonly #tokens: TokenKeeper;
  readonly #http: () => Promise<Http>;
  readonly #environment: Environment;
  readonly #subscriptions = new Set<OpenSubscription>();
  /** Those on the present link, by their ids there. */
  readonly #byId = new Map<string, OpenSubscription>();
  readonly #statusListeners = new Listeners<[Status]>();
  readonly #silence: SilenceWatch;
  #phase: Phase = 'idle';
  #number = 0;
  #link: Link | undefined;
  #attempt = 0;
  /** What the present attempt was made with. */
  #token: string | undefined;
  #openedAt = 0;
  /** More than `welcome` has come over the present link. */
  #works = false;
  #timer: Cancel | undefined;
  #renewal: Cancel | undefined;
  #stopped: TidemarkClientError | undefined;
  #wireIds = 0;
  #arrived = 0;
  #behindMs: number | undefined;
  #status: Status = { state: 'connecting' };
  readonly #cancelWake: Cancel;

  constructor(
    transports: Transports,
    tokens: TokenKeeper,
    http: () => Promise<Http>,
    environment: Environment,
  ) {
    this.#transports = transports;
    this.#tokens = tokens;
    this.#http = http;
    this.#environment = environment;
    this.#silence = new SilenceWatch(environment, {
      ask: () => this.#link?.ping(),
      dead: () => this.#lost({ code: 1006, reason: '' }),
    });
    this.#cancelWake = environment.onWake(() => this.wake());
  }

  get status(): Status {
    return this.#status;
  }

  onStatus(handle: (status: Status) => void): Cancel {
    return this.#statusListeners.add(handle);
  }

  add(subscription: OpenSubscription): void {
    this.#subscriptions.add(subscription);
    if (this.#phase === 'open') this.#subscribe(subscription);
    else if (this.#phase === 'idle') this.#open();
    else if (this.#stopped) subscription.end(this.#stopped);
    this.#tell();
  }

  remove(subscription: OpenSubscription): void {
    this.#subscriptions.delete(subscription);
    this.#leave(subscription);
    const isOver = this.#phase === 'stopped' || this.#phase === 'closed';
    if (this.#subscriptions.size === 0 && !isOver) this.#drop('idle');
    this.#tell();
  }

  resume(subscription: OpenSubscription): void {
    subscription.isPaused = false;
    if (this.#phase === 'open') this.#subscribe(subscription);
  }

  /** A good moment to try, or to find out at once whether the link still lives. */
  wake(): void {
    this.#transports.forget();
    if (this.#phase === 'waiting') this.#open();
    else if (this.#phase === 'open') this.#silence.probe();
  }

  /** The page stops. Browsers would answer pings on its link, and the server would go on sending where nobody reads. */
  leave(): void {
    if (this.#phase === 'open') this.#lost({ code: 1006, reason: '' });
  }

  /** Takes a new token to the server, where there is a link; comes back where it was stopped. */
  async authenticate(): Promise<void> {
    if (this.#phase === 'closed') throw closedError();
    this.#renewal?.();
    const number = this.#number;
    const token = await this.#tokens.renew();
    if (this.#phase === 'stopped') {
      this.#stopped = undefined;
      this.#drop('idle');
      if (this.#subscriptions.size > 0) this.#open();
    } else if (number === this.#number && this.#phase === 'open') {
      this.#scheduleRenewal();
      // A link that cannot take it is opened anew; the subscriptions go on at their cursors.
      if (!this.#link?.authenticate(token)) this.#open();
    }
    this.#tell();
  }

  close(): void {
    if (this.#phase === 'closed') return;
    this.#drop('closed');
    this.#stopped = closedError();
    this.#cancelWake();
    for (const subscription of [...this.#subscriptions]) subscription.end();
    this.#tell();
  }

  #open(): void {
    this.#drop('opening');
    const number = this.#number;
    const isCurrent = () => number === this.#number;
    this.#openedAt = this.#environment.now();
    this.#timer = this.#environment.timer(() => this.#lost({ code: 1006, reason: '' }), OPEN_MS);
    this.#tell();
    this.#tokens.get().then(
      (token) => {
        if (!isCurrent()) return;
        this.#token = token;
        this.#link = this.#transports.open(token, {
          alive: () => isCurrent() && this.#silence.heard(),
          message: (message, size) => isCurrent() && this.#receive(message, size),
          ended: (ending) => isCurrent() && this.#lost(ending),
        });
      },
      () => isCurrent() && this.#wait(),
    );
  }

  /** Ends the present attempt, whatever it has come to. */
  #drop(phase: Phase): void {
    this.#number++;
    this.#phase = phase;
    this.#timer?.();
    this.#renewal?.();
    this.#silence.stop();
    this.#link?.close();
    this.#link = undefined;
    this.#works = false;
    this.#byId.clear();
    for (const subscription of this.#subscriptions) subscription.detach();
  }

  #wait(atLeastMs = 0): void {
    this.#drop('waiting');
    const ms = Math.max(atLeastMs, backoffMs(this.#attempt++, this.#environment));
    this.#timer = this.#environment.timer(() => this.#open(), ms);
    this.#tell();
  }

  #stop(error: TidemarkClientError): void {
    this.#drop('stopped');
    this.#stopped = error;
    for (const subscription of [...this.#subscriptions]) subscription.end(error);
    this.#tell();
  }

  #lost({ code, reason }: Ending): void {
    const wasOpen = this.#phase === 'open';
    // A proxy may let `welcome` through and cut the link then, each time.
    const isCut = code === 1006 && !this.#works;
    const ms = this.#environment.now() - this.#openedAt;
    if (wasOpen && ms >= GOOD_MS) this.#attempt = 0;
    if (code >= 4500) {
      const message = code === 4501 ? 'The token is revoked.' : reason || `Closed with ${code}.`;
      this.#stop(
        new TidemarkClientError({
          code: code === 4501 ? 'revoked' : 'stopped',
          message,
          retryable: false,
        }),
      );
    } else if (code === 4004) void this.#renewAndOpen();
    else if (code === 4007) {
      this.#attempt = Math.max(this.#attempt, SLOW_ATTEMPT);
      this.#wait();
    } else if (wasOpen && !isCut && code !== REFUSED) this.#wait();
    else void this.#diagnose(!wasOpen && ms >= OPEN_MS);
  }

  async #renewAndOpen(): Promise<void> {
    this.#drop('opening');
    const number = this.#number;
    try {
      await this.#tokens.renew();
    } catch {
      // Asked again with the next attempt.
    }
    if (number === this.#number) this.#wait();
  }

  /** Browsers do not say why a handshake failed: a request with the same token does. */
  async #diagnose(isSilent: boolean): Promise<void> {
    this.#drop('opening');
    const number = this.#number;
    const token = this.#token;
    this.#tell();
    const answer = this.#http().then(({ requests }) => requests.once('GET', '/v1/head'));
    const outcome = await answer.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (number !== this.#number) return;
    if (!(outcome instanceof TidemarkClientError)) {
      // The gateway answers. Where that was with the same token, something on the way breaks the link.
      const { current } = this.#tokens;
      if (current === token) this.#transports.failed(isSilent);
      this.#wait();
      return;
    }
    if (isRefusal(outcome) && !outcome.retryable) return this.#stop(outcome);
    if (outcome.code === 'forbidden') return this.#stop(outcome);
    this.#wait(outcome.retryAfterMs);
  }

  #receive(message: ServerMessage, size: number): void {
    if (!this.#works && message.type !== 'welcome') {
      this.#works = true;
      this.#transports.worked();
    }
    switch (message.type) {
      case 'welcome':
        this.#timer?.();
        this.#phase = 'open';
        this.#silence.start(message.heartbeatMs);
        this.#scheduleRenewal();
        this.#scheduleReturn();
        this.#arrived = 0;
        this.#behindMs = undefined;
        for (const subscription of this.#subscriptions) {
          if (!subscription.isPaused) this.#subscribe(subscription);
        }
        this.#tell();
        return;
      case 'event':
        this.#deliver(message, size);
        return;
      case 'heartbeat':
        for (const [id, subscription] of this.#byId) {
          if (message.id === undefined || message.id === id) subscription.receive(message, size);
        }
        return;
      case 'error':
        this.#refused(message);
        return;
      default:
        // Also of types that are not known: these name no subscription.
        this.#hand(this.#byId.get(message.id ?? ''), message, size);
    }
  }

  #deliver(message: Extract<ServerMessage, { type: 'event' }>, size: number): void {
    if (message.id !== undefined) {
      this.#hand(this.#byId.get(message.id), message, size);
      return;
    }
    for (const subscription of this.#byId.values()) {
      if (subscription.takes(message.cursor, message.event))
        this.#hand(subscription, message, size);
    }
  }

  #hand(subscription: OpenSubscription | undefined, message: ServerMessage, size: number): void {
    if (!subscription) return;
    subscription.receive(message, size);
    if (message.type === 'event' || message.type === 'last') this.#count(message.event.time);
    if (message.type === 'live' || message.type === 'subscribed') this.#tell();
    if (!subscription.isFull || subscription.isEnded) return;
    this.#leave(subscription);
    subscription.isPaused = true;
    this.#tell();
  }

  /** How far a catch-up has come. While live nobody asks, and it costs nothing. */
  #count(time: string | undefined): void {
    if (this.#status.state !== 'catching-up') return;
    this.#arrived++;
    if (this.#arrived % 100 !== 0) return;
    const ms = this.#environment.wall() - Date.parse(time ?? '');
    this.#behindMs = Number.isNaN(ms) ? this.#behindMs : Math.max(0, ms);
    this.#tell();
  }

  #refused(error: Extract<ServerMessage, { type: 'error' }>): void {
    const subscription = error.id === undefined ? undefined : this.#byId.get(error.id);
    if (!subscription) return;
    this.#byId.delete(error.id ?? '');
    subscription.detach();
    if (!error.retryable) {
      subscription.end(new TidemarkClientError(error));
      return;
    }
    // Without a new token the connection ends soon, and asks again.
    if (error.code === 'token_expired') this.authenticate().catch(() => undefined);
    // Its own wait: the others go on.
    const number = this.#number;
    this.#environment.timer(
      () => {
        const isWanted = number === this.#number && !subscription.isEnded;
        if (isWanted && !subscription.isPaused && !subscription.wireId)
          this.#subscribe(subscription);
      },
      backoffMs(subscription.attempt++, this.#environment),
    );
    this.#tell();
  }

  #subscribe(subscription: OpenSubscription): void {
    if (subscription.wireId !== undefined) return;
    const id = `s${++this.#wireIds}`;
    const { request } = subscription;
    subscription.begin(id);
    this.#byId.set(id, subscription);
    this.#link?.subscribe(id, request);
  }

  #leave(subscription: OpenSubscription): void {
    const id = subscription.wireId;
    if (id === undefined) return;
    this.#byId.delete(id);
    subscription.detach();
    this.#link?.unsubscribe(id);
  }

  #scheduleRenewal(): void {
    this.#renewal?.();
    const ms = this.#tokens.renewInMs;
    if (ms === undefined) return;
    this.#renewal = this.#environment.timer(() => {
      // The server closes with `token_expired` where no new one came in time.
      this.authenticate().catch(() => undefined);
    }, ms);
  }

  /** From SSE back to WebSocket, which one connection does for all subscriptions. */
  #scheduleReturn(): void {
    const ms = this.#transports.sseForMs;
    if (ms !== undefined) this.#timer = this.#environment.timer(() => this.#open(), ms);
  }

  #tell(): void {
    const status = this.#newStatus();
    const before = this.#status;
    this.#status = status;
    if (status.state === before.state && status.state !== 'catching-up') return;
    this.#statusListeners.tell(status);
  }

  #newStatus(): Status {
    switch (this.#phase) {
      case 'stopped':
      case 'closed':
        return {
          state: 'stopped',
          reason: this.#stopped?.message ?? '',
          code: this.#stopped?.code ?? '',
        };
      case 'waiting':
        return { state: 'offline' };
      case 'open':
        break;
      default:
        // A further attempt is no news to a person.
        return this.#attempt > 0 ? { state: 'offline' } : { state: 'connecting' };
    }
    if ([...this.#subscriptions].every(({ isLive }) => isLive)) return { state: 'live' };
    const behind = this.#behindMs;
    return {
      state: 'catching-up',
      events: this.#arrived,
      ...(behind !== undefined && { ms: behind }),
    };
  }
}
