import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowUs } from '../wire/clock.ts';
import { type TopicPlan, topicsOf } from '../wire/topics.ts';
import { EventSpread, type SpreadSummary } from './event-spread.ts';
import { LatencyHistogram, type LatencySummary } from './latency-histogram.ts';
import type { LoadClient, Shared, Stages } from './load-client.ts';
import { type Client, type ClientPlan, createClient } from './transports.ts';

/** Most handshakes in progress at once: fewer than the 511 that a listening socket queues. */
const HANDSHAKES_MAX = 256;

/** How long to wait after the last event for one too many. */
const EXTRA_WAIT_MS = 300;
const POLL_MS = 20;

/** Most faults that are reported with their text. */
const FAULTS_SHOWN = 5;

export interface FleetPlan extends ClientPlan {
  readonly clients: number;
  readonly topics: TopicPlan;
  readonly after?: string;
  /** Events that each client receives before it is live, where it starts at a cursor. */
  readonly missed?: number;
  /** Whether each client comes back where `cut` left the one of its index. */
  readonly back?: boolean;
  /** The stage that each client has to reach before the fleet counts as open. */
  readonly until: 'subscribedUs' | 'liveUs' | 'completeUs';
  readonly timeoutMs: number;
  /** Whether the report tells how each event spreads over the clients. */
  readonly spread?: boolean;
  /** Whether the time may run out. The report then has the number of live clients. */
  readonly mayTimeOut?: boolean;
}

export interface OpenReport {
  readonly startedUs: number;
  readonly lastOpenedUs: number;
  readonly lastSubscribedUs: number;
  readonly lastLiveUs: number;
  readonly lastCompleteUs: number;
  readonly cpuMs: number;
  readonly live: number;
  readonly faults: readonly string[];
}

export interface ReceiveReport {
  readonly events: number;
  readonly firstExpectedUs: number;
  readonly lastUs: number;
  readonly latency: LatencySummary;
  /** Where the plan asked for it. */
  readonly spread?: SpreadSummary;
  readonly cpuMs: number;
  readonly loopDelayMaxMs: number;
  /** Everything that went wrong. A run with faults has no figure. */
  readonly faults: readonly string[];
}

/** The clients of one case in one process. */
export class Fleet implements Shared {
  check: Shared['check'] = 'sequence';
  onLatency: Shared['onLatency'];
  readUs = 0;
  readonly #latencies = new LatencyHistogram();
  readonly #loopDelay = monitorEventLoopDelay({ resolution: 5 });
  #spread: EventSpread | undefined;
  #clients: Client[] = [];
  #positions: (string | undefined)[] = [];
  #faults = 0;
  #shownFaults: string[] = [];
  #atTarget = 0;
  #eventsBefore = 0;
  #expected = 0;
  #expectedUs = 0;
  #cpuBefore = process.cpuUsage();
  #closing = false;

  async open(plan: FleetPlan): Promise<OpenReport> {
    this.check = plan.check;
    this.#spread = plan.spread ? new EventSpread(plan.clients) : undefined;
    if (plan.timed) {
      this.onLatency = (us, counter) => {
        this.#latencies.add(us);
        this.#spread?.add(counter, us);
      };
    }
    const startedUs = nowUs();
    const cpuBefore = process.cpuUsage();
    this.#connect(plan);
    if (plan.together) {
      const areOpen = (): boolean => this.#faults > 0 || this.#last('openedUs') > 0;
      await this.#until(areOpen, plan.timeoutMs);
      for (const client of this.#clients) client.subscribe();
    }
    const isDone = (): boolean => {
      return this.#faults > 0 || this.#last(plan.until) > 0;
    };
    await this.#until(isDone, plan.timeoutMs);
    if (this.#last(plan.until) === 0 && !plan.mayTimeOut) {
      this.#tell(`not all clients opened: ${this.#census()}`);
    }
    if (plan.missed !== undefined) this.#checkMissed(plan.missed);
    const { user, system } = process.cpuUsage(cpuBefore);
    return {
      startedUs,
      lastOpenedUs: this.#last('openedUs'),
      lastSubscribedUs: this.#last('subscribedUs'),
      lastLiveUs: this.#last('liveUs'),
      lastCompleteUs: this.#last('completeUs'),
      cpuMs: (user + system) / 1000,
      live: this.#count('liveUs'),
      faults: this.#tellFaults(),
    };
  }

  /**
   * Each client has to receive exactly this many events, counted from now on or since it opened. Events
   * of clients that had stopped reading can only be counted since they opened.
   */
  expect({ events, sinceOpen = false }: { events: number; sinceOpen?: boolean }): void {
    this.#atTarget = 0;
    this.#expected = events;
    this.#latencies.reset();
    this.#spread?.reset(events);
    this.#loopDelay.reset();
    this.#loopDelay.enable();
    for (const client of this.#clients) {
      client.target = sinceOpen ? events : client.events + events;
    }
    this.#eventsBefore = this.#events();
    this.#cpuBefore = process.cpuUsage();
    this.#expectedUs = nowUs();
  }

  /** Waits until the clients have received the expected events. */
  async received({ timeoutMs }: { timeoutMs: number }): Promise<ReceiveReport> {
    const isDone = (): boolean => this.#atTarget === this.#clients.length || this.#faults > 0;
    await this.#until(isDone, timeoutMs);
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const loopDelayMaxMs = this.#loopDelay.max / 1e6;
    await sleep(EXTRA_WAIT_MS);
    for (const { index, events, target } of this.#clients) {
      if (events < target) this.#tell(`client ${index}: ${target - events} events are missing`);
    }
    return {
      events: this.#events() - this.#eventsBefore,
      firstExpectedUs: this.#expectedUs,
      lastUs: Math.max(...this.#clients.map(({ lastUs }) => lastUs)),
      latency: this.#latencies.summary(),
      ...(this.#spread && { spread: this.#spread.summary() }),
      cpuMs: (user + system) / 1000,
      loopDelayMaxMs,
      faults: this.#tellFaults(),
    };
  }

  /** How many of the expected events the client has that has fewest. */
  least(_: object): number {
    return this.#clients.reduce((least, { events, target }) => {
      return Math.min(least, this.#expected - target + events);
    }, this.#expected);
  }

  pause({ paused }: { paused: boolean }): void {
    for (const { socket } of this.#clients) {
      if (paused) socket.pause();
      else socket.resume();
    }
  }

  /** Cuts all clients off, and remembers where each one was. */
  async cut(_: object): Promise<void> {
    this.#positions = this.#clients.map(({ position }) => position);
    await this.close({});
  }

  async close(_: object): Promise<void> {
    this.#closing = true;
    for (const { socket } of this.#clients) socket.destroy();
    await this.#until(() => this.#clients.every(({ closed }) => closed), 10_000);
    this.#clients = [];
    this.#closing = false;
    this.#faults = 0;
    this.#shownFaults = [];
  }

  // Called by the clients.

  onTarget(): void {
    this.#atTarget++;
  }

  onFault({ index }: LoadClient, fault: string): void {
    this.#tell(`client ${index}: ${fault}`);
  }

  /** Begins a handshake whenever another one ends, until every client has begun one. */
  #connect(plan: FleetPlan): void {
    const clients = this.#clients.length + plan.clients;
    const shaking = new Set<Client>();
    const next = (): void => {
      while (shaking.size < HANDSHAKES_MAX && this.#clients.length < clients) {
        const client = this.#create(plan, (changed) => {
          const settled = changed.stages.openedUs > 0 || changed.closed;
          if (settled && shaking.delete(changed)) next();
        });
        this.#clients.push(client);
        shaking.add(client);
      }
    };
    next();
  }

  #create(plan: FleetPlan, onChange: (client: Client) => void): Client {
    const index = this.#clients.length;
    const created = createClient({
      plan,
      index,
      topics: topicsOf(plan.topics, index % plan.topics.audiences),
      after: plan.back ? this.#positions[index] : plan.after,
      shared: this,
      onChange: (client) => {
        if (client.closed && !this.#closing) this.#tell(`client ${index}: closed`);
        onChange(client);
      },
    });
    if (plan.until === 'completeUs' && plan.missed !== undefined) created.target = plan.missed;
    return created;
  }

  #checkMissed(missed: number): void {
    for (const { index, events, stages } of this.#clients) {
      if (events === missed || (stages.liveUs === 0 && stages.completeUs === 0)) continue;
      this.#tell(`client ${index}: ${events} instead of ${missed} events when live`);
    }
  }

  /** The time at which the last client reached the stage; 0 while one has not. */
  #last(stage: keyof Stages): number {
    let last = 0;
    for (const { stages } of this.#clients) {
      if (stages[stage] === 0) return 0;
      last = Math.max(last, stages[stage]);
    }
    return last;
  }

  #census(): string {
    const opened = this.#count('openedUs');
    const subscribed = this.#count('subscribedUs');
    const live = this.#count('liveUs');
    return `${this.#clients.length} began, ${opened} opened, ${subscribed} subscribed, ${live} live`;
  }

  #count(stage: keyof Stages): number {
    return this.#clients.filter(({ stages }) => stages[stage] > 0).length;
  }

  #events(): number {
    return this.#clients.reduce((sum, { events }) => sum + events, 0);
  }

  #tell(fault: string): void {
    this.#faults++;
    if (this.#shownFaults.length < FAULTS_SHOWN) this.#shownFaults.push(fault);
  }

  #tellFaults(): string[] {
    const more = this.#faults - this.#shownFaults.length;
    return more > 0 ? [...this.#shownFaults, `and ${more} more faults`] : [...this.#shownFaults];
  }

  /** Waits until the condition holds or the time is over. Its own delay enters no measurement. */
  async #until(isDone: () => boolean, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isDone() && performance.now() < deadlineMs) await sleep(POLL_MS);
  }
}
