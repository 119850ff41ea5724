import { setTimeout as sleep } from 'node:timers/promises';
import { headers } from '@nats-io/transport-node';
import { NatsLink, readStreamState, SEAL_HEADER } from '@tidemark/nats';
import {
  EMPTY_INBOX,
  encodeInbox,
  formatCursor,
  INBOX_EVENT_TYPE,
  inboxTopic,
  toSubject,
} from '@tidemark/protocol';
import { pino } from 'pino';
import { serveCommands } from '../system/commands.ts';
import {
  EVENTS_PER_SHARED_TOPIC,
  followsOf,
  OWN_ITEMS,
  SHARED_TOPICS,
  sharedTopic,
  userName,
} from './population.ts';

/** One event in this many is acknowledged, and so are those before it. */
const ACKNOWLEDGED_EVERY = 200;
const ACKNOWLEDGEMENTS_PENDING_MAX = 16;

const TEXT = 'x'.repeat(120);

/** Publishes what users have in their inboxes, as ingest and replay seal it. */
class InboxPublisher {
  readonly #link: NatsLink;
  readonly #epoch: string;
  #pending: Promise<void>[] = [];
  #count = 0;
  #lastSequence = 0;

  constructor(link: NatsLink, epoch: string) {
    this.#link = link;
    this.#epoch = epoch;
  }

  /** First what is followed, then who follows it: each user's follows begin at the begin of the log. */
  async populate(users: number): Promise<number> {
    for (let round = 0; round < EVENTS_PER_SHARED_TOPIC; round++) {
      for (let index = 0; index < SHARED_TOPICS; index++) await this.#item(sharedTopic(index));
    }
    for (let user = 0; user < users; user++) await this.#state(user);
    for (let round = 0; round < OWN_ITEMS; round++) {
      for (let user = 0; user < users; user++) await this.#item(`user.${userName(user)}.notes`);
    }
    return this.#finish();
  }

  /** Events that are nobody's items, at a rate. */
  async noise({ events, perSecond }: { events: number; perSecond: number }): Promise<number> {
    const startMs = performance.now();
    for (let index = 0; index < events; index++) {
      while (performance.now() < startMs + (1000 * index) / perSecond) await sleep(1);
      await this.#item(`noise.${index % 5000}`);
    }
    return this.#finish();
  }

  #item(topic: string): Promise<void> {
    return this.#send(topic, { type: 'note', publisher: 'bench', data: { text: TEXT } });
  }

  #state(user: number): Promise<void> {
    const subject = userName(user);
    const state = {
      ...EMPTY_INBOX,
      follows: followsOf(user).map((pattern) => ({ pattern, since: 0 })),
    };
    const toCursor = (sequence: number) => formatCursor({ epoch: this.#epoch, sequence });
    const data = { topics: [`user.${subject}.>`], ...encodeInbox(state, toCursor) };
    const more = { type: INBOX_EVENT_TYPE, publisher: subject, data };
    return this.#send(inboxTopic(subject) ?? '', more);
  }

  async #send(topic: string, more: object): Promise<void> {
    const event = {
      specversion: '1.0',
      id: String(++this.#count),
      source: '/bench',
      topic,
      ...more,
    };
    const payload = Buffer.from(JSON.stringify(event));
    const subject = toSubject(topic);
    const all = headers();
    all.set(SEAL_HEADER, this.#link.seal.sign({ subject, payload }));
    const { connection } = this.#link;
    if (this.#count % ACKNOWLEDGED_EVERY !== 0) {
      connection.publish(subject, payload, { headers: all });
      return;
    }
    await this.#acknowledge(subject, payload, all);
  }

  async #acknowledge(subject: string, payload: Buffer, all: ReturnType<typeof headers>) {
    const asked = this.#link.connection
      .request(subject, payload, { headers: all, timeout: 30_000 })
      .then((reply) => {
        const { seq, error } = reply.json<{ seq?: number; error?: { description: string } }>();
        if (seq === undefined) throw new Error(`The stream refused: ${error?.description}`);
        this.#lastSequence = Math.max(this.#lastSequence, seq);
      });
    this.#pending.push(asked);
    if (this.#pending.length >= ACKNOWLEDGEMENTS_PENDING_MAX) await this.#pending.shift();
  }

  /** Fills up to an event that is acknowledged. */
  async #finish(): Promise<number> {
    do await this.#item('noise.end');
    while (this.#count % ACKNOWLEDGED_EVERY !== 0);
    await Promise.all(this.#pending);
    this.#pending = [];
    return this.#lastSequence;
  }
}

let publisher: InboxPublisher | undefined;
const opened = () => publisher ?? failed();
const commands = {
  async connect({ natsUrl }: { natsUrl: string }) {
    const logger = pino({ level: 'error' });
    const link = await new NatsLink({ servers: natsUrl, name: 'bench', logger }).connect();
    // The answer has the key to seal with.
    const state = await readStreamState(link);
    publisher = new InboxPublisher(link, state?.epoch ?? '');
  },
  populate: ({ users }: { users: number }) => opened().populate(users),
  noise: (plan: { events: number; perSecond: number }) => opened().noise(plan),
};
export type InboxPublisherCommands = typeof commands;

function failed(): never {
  throw new Error('The publisher has no connection yet.');
}

serveCommands(commands);
