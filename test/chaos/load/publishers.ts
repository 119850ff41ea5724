import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Random } from '../../simulation/random.ts';
import { type Answer, type Attempts, eventOf, type Publication } from './attempts.ts';
import { sendBatch, sendOverHttp, sendOverNats, WebSocketSender } from './senders.ts';
import { CHAINS, CONTESTS, TOPICS } from './topics.ts';

export interface PublisherPlaces {
  readonly attempts: Attempts;
  readonly random: Random;
  readonly token: string;
  readonly ingests: readonly string[];
  readonly gateways: readonly string[];
  readonly nats: NatsConnection;
  /** Ends the publishers. */
  readonly signal: AbortSignal;
}

const RETRY_MS = 200;
const BATCH_MAX = 8;

/** Of so many events one is large. */
const LARGE_ONE_IN = 40;
const LARGE_BYTES = 6000;

/** So many publishers compete for each topic of a contest. */
const RIVALS = 3;

/** Starts all publishers of a run. Resolves when they have ended and every attempt has its answer. */
export async function runPublishers(places: PublisherPlaces): Promise<void> {
  const plain = ['http-1', 'http-2'].map((name) => new Plain(name, places).overHttp());
  const rivals = CONTESTS.flatMap((topic) =>
    Array.from({ length: RIVALS }, (_, index) => {
      return new Conditional(`rival-${topic}-${index}`, topic, places).compete();
    }),
  );
  await Promise.all([
    ...plain,
    new Plain('batch', places).inBatches(),
    new Plain('ws-1', places).overWebSocket(),
    new Plain('ws-2', places).overWebSocket(),
    new Plain('nats', places).overNats(),
    ...CHAINS.map((topic) => new Conditional(`chain-${topic}`, topic, places).chain()),
    ...rivals,
  ]);
}

/** Waits; the publisher ends when the signal has come. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

abstract class Numbered {
  protected readonly name: string;
  protected readonly places: PublisherPlaces;
  #count = 0;

  constructor(name: string, places: PublisherPlaces) {
    this.name = name;
    this.places = places;
  }

  protected get isOver(): boolean {
    return this.places.signal.aborted;
  }

  protected nextId(): string {
    return `${this.name}:${++this.#count}`;
  }

  protected event(topic: string, id: string): object & { id: string } {
    const { random } = this.places;
    const isLarge = random.between(1, LARGE_ONE_IN) === 1;
    const event = eventOf({ topic, id }, isLarge ? LARGE_BYTES : random.between(50, 400));
    return event as object & { id: string };
  }
}

/** Publishes without conditions, repeats what is not known, and now and then what is. */
class Plain extends Numbered {
  overHttp(): Promise<void> {
    const { ingests, random, token } = this.places;
    return this.#run('http', 100, (_, event) => sendOverHttp(random.pick(ingests), token, event));
  }

  async overWebSocket(): Promise<void> {
    const { gateways, random, token } = this.places;
    const sender = new WebSocketSender(token);
    await this.#run('websocket', 150, (_, event) => sender.send(random.pick(gateways), event));
    sender.close();
  }

  overNats(): Promise<void> {
    const { nats } = this.places;
    return this.#run('nats', 100, (topic, event) => sendOverNats(nats, topic, event));
  }

  async inBatches(): Promise<void> {
    const { attempts, ingests, random, token, signal } = this.places;
    while (!this.isOver) {
      const batch = Array.from({ length: random.between(2, BATCH_MAX) }, () => {
        const topic = random.pick(TOPICS);
        const id = this.nextId();
        return { topic, id, event: this.event(topic, id) };
      });
      for (let known = false; !known && !this.isOver; ) {
        const numbers = batch.map(({ topic, id }) => {
          return attempts.begin({ publisher: this.name, via: 'http', topic, id });
        });
        const events = batch.map(({ event }) => event);
        const answers = await sendBatch(random.pick(ingests), token, events).catch((): Answer[] =>
          batch.map(() => ({ outcome: 'unknown' })),
        );
        for (const [index, number] of numbers.entries()) {
          attempts.end(number, answers[index] ?? { outcome: 'unknown' });
        }
        known = answers.every(({ outcome }) => outcome !== 'unknown');
        if (!known) await pause(RETRY_MS, signal);
      }
      await pause(random.between(200, 900), signal);
    }
  }

  async #run(
    via: Publication['via'],
    everyMs: number,
    send: (topic: string, event: object & { id: string }) => Promise<Answer>,
  ): Promise<void> {
    const { attempts, random, signal } = this.places;
    while (!this.isOver) {
      const topic = random.pick(TOPICS);
      const id = this.nextId();
      const event = this.event(topic, id);
      const publication = { publisher: this.name, via, topic, id };
      for (let repeats = random.chance(0.05) ? 1 : 0; repeats >= 0 && !this.isOver; ) {
        const { outcome } = await attempts.record(publication, () => send(topic, event));
        if (outcome === 'unknown') await pause(RETRY_MS, signal);
        else repeats--;
      }
      await pause(random.between(everyMs / 2, everyMs * 1.5), signal);
    }
  }
}

/** Publishes to one topic; each event names the one that it follows. */
class Conditional extends Numbered {
  readonly #topic: string;
  /** The topic's last cursor, as far as this publisher knows. */
  #last: string | null = null;

  constructor(name: string, topic: string, places: PublisherPlaces) {
    super(name, places);
    this.#topic = topic;
  }

  async chain(): Promise<void> {
    const { random, signal } = this.places;
    while (!this.isOver) {
      await this.#append();
      await pause(random.between(100, 600), signal);
    }
  }

  async compete(): Promise<void> {
    const { random, signal } = this.places;
    while (!this.isOver) {
      // After a loss the rival tries again with what the answer named.
      for (let tries = 0; tries < 3 && !this.isOver && !(await this.#append()); ) tries++;
      await pause(random.between(300, 1500), signal);
    }
  }

  /** @returns whether the event was stored under its condition */
  async #append(): Promise<boolean> {
    const { attempts, ingests, random, token, signal } = this.places;
    const id = this.nextId();
    const event = this.event(this.#topic, id);
    const condition = this.#last;
    const what = { publisher: this.name, via: 'http', topic: this.#topic, id, condition } as const;
    while (!this.isOver) {
      const url = random.pick(ingests);
      const answer = await attempts.record(what, () => sendOverHttp(url, token, event, condition));
      if (answer.outcome === 'unknown') {
        await pause(RETRY_MS, signal);
        continue;
      }
      if (answer.cursor !== undefined) this.#last = answer.cursor;
      return answer.outcome !== 'refused';
    }
    return false;
  }
}
