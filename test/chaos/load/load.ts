import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { Random } from '../../simulation/random.ts';
import type { Recorder } from '../recorder.ts';
import { Attempts } from './attempts.ts';
import { Client, TEMPERS } from './client.ts';
import type { GatewayAddress } from './connection.ts';
import { runPublishers } from './publishers.ts';
import { type ReplayAddress, readExports, readPages } from './readers.ts';
import { sequenceOf } from './subscription.ts';
import { Tokens } from './tokens.ts';
import { pickPatterns } from './topics.ts';

export interface LoadOptions {
  readonly seed: number;
  readonly clients: number;
  readonly recorder: Recorder;
  readonly gateways: readonly GatewayAddress[];
  readonly ingests: readonly string[];
  readonly replays: readonly ReplayAddress[];
  readonly nats: NatsConnection;
  readonly deadAfterMs: number;
}

const REVOKE_EVERY_MS = 5000;
const REVOKE_TIMEOUT_MS = 5000;

/** A subscription that begins at a time begins at most so long ago. */
const TIME_START_MS = 60_000;

/** Clients that may still be waiting for events are looked at so often. */
const POLL_MS = 200;

/** Everything that uses the system during a run. */
export class Load {
  readonly attempts: Attempts;
  readonly tokens: Tokens;
  readonly clients: readonly Client[];
  readonly #options: LoadOptions;
  readonly #writing = new AbortController();
  readonly #reading = new AbortController();
  #writers: Promise<unknown> = Promise.resolve();
  #readers: Promise<unknown> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.attempts = new Attempts(options.recorder);
    this.tokens = new Tokens(options.recorder);
    const random = new Random(options.seed + 1);
    this.clients = Array.from({ length: options.clients }, (_, index) => {
      return this.#client(`client-${index + 1}`, index, new Random(random.between(0, 1e9)));
    });
  }

  async start(): Promise<void> {
    const { seed, recorder, ingests, gateways, replays, nats } = this.#options;
    const { text } = await this.tokens.make('publisher', { publish: ['>'] });
    this.#writers = runPublishers({
      attempts: this.attempts,
      random: new Random(seed + 2),
      token: text,
      ingests,
      gateways: gateways.map(({ url }) => url),
      nats,
      signal: this.#writing.signal,
    });
    const { signal } = this.#reading;
    const random = new Random(seed + 3);
    const places = { recorder, tokens: this.tokens, random, replays, signal };
    this.#readers = Promise.all([
      readPages('pager-1', places),
      readPages('pager-2', places),
      readExports('exporter', places),
      this.#revoke(new Random(seed + 4)),
    ]);
  }

  /** Ends publishers and readers, and lets all clients catch up. */
  async settle(): Promise<void> {
    this.#writing.abort();
    this.#reading.abort();
    for (const client of this.clients) client.settle();
    await this.#writers;
    await this.#readers;
  }

  /** Waits until all clients are live and have passed a sequence. @returns whether they did in time */
  async untilCurrent(sequence: number, timeoutMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.behind(sequence).length > 0) {
      if (performance.now() > deadlineMs) return false;
      await sleep(POLL_MS);
    }
    return true;
  }

  /** What is not live, or has not passed the sequence. */
  behind(sequence: number): string[] {
    return this.clients
      .flatMap(({ subscriptions }) => subscriptions)
      .filter(({ live, cursor }) => !live || cursor === undefined || sequenceOf(cursor) < sequence)
      .map(
        ({ choice, live, cursor }) => `${choice.name} ${live ? 'live' : 'not live'} at ${cursor}`,
      );
  }

  async stop(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.stop()));
  }

  #client(name: string, index: number, random: Random): Client {
    const { recorder, gateways, deadAfterMs } = this.#options;
    const choose = (generation: number) => {
      const count = random.chance(0.4) ? random.between(2, 4) : 1;
      return Array.from({ length: count }, (_, number) => ({
        name: `${name}.${generation}.${number + 1}`,
        patterns: pickPatterns(random),
        deliver: random.chance(0.2) ? ('latest' as const) : ('all' as const),
        start: chooseStart(random),
      }));
    };
    const temper = TEMPERS[index % TEMPERS.length] ?? 'steady';
    const ttlSeconds = random.chance(0.3) ? random.between(10, 40) : undefined;
    const places = { gateways, recorder, deadAfterMs, tokens: this.tokens, random };
    return new Client({ name, temper, choose, ttlSeconds, ...places });
  }

  /** Revokes a token of a client now and then. */
  async #revoke(random: Random): Promise<void> {
    const { recorder, gateways } = this.#options;
    const { signal } = this.#reading;
    const admin = await this.tokens.make('operator', { admin: true });
    while (!signal.aborted) {
      await sleep(REVOKE_EVERY_MS, undefined, { signal }).catch(() => {});
      const usable = this.tokens.revocable.filter(({ revoked }) => !revoked);
      if (usable.length === 0 || signal.aborted) continue;
      const token = random.pick(usable);
      const answer = await fetch(`${random.pick(gateways).url}/v1/admin/revocations`, {
        method: 'POST',
        headers: { authorization: `Bearer ${admin.text}` },
        body: JSON.stringify({ jti: token.jti }),
        signal: AbortSignal.timeout(REVOKE_TIMEOUT_MS),
      }).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.status === 204) recorder.record({ kind: 'revoked', token: token.name });
      // Where no answer came, the revocation may still be stored.
      token.revoked = true;
    }
  }
}

/** Absent, which means `latest`, or one of the starts (PROTOCOL.md section 4). */
function chooseStart(random: Random): string | undefined {
  if (random.chance(0.2)) return undefined;
  const time = new Date(Date.now() - random.between(0, TIME_START_MS)).toISOString();
  return random.pick(['earliest', 'earliest', 'latest', time]);
}
