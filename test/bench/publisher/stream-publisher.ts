import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { NatsLink, readStreamState, SEAL_HEADER } from '@tidemark/nats';
import { toSubject } from '@tidemark/protocol';
import { pino } from 'pino';
import { nowUs } from '../wire/clock.ts';
import { layOut, stamp } from '../wire/event-layout.ts';
import { type TopicPlan, topicOf } from '../wire/topics.ts';
import { StreamWatch } from './stream-watch.ts';

/** One event in this many asks for an acknowledgement, which also covers the events before it. */
const ACKNOWLEDGED_EVERY = 200;
/** Most acknowledgements awaited at once. The server drops messages if over 10,000 wait for a stream. */
const ACKNOWLEDGEMENTS_PENDING_MAX = 16;
const ACKNOWLEDGEMENT_TIMEOUT_MS = 30_000;

export interface PublishPlan {
  readonly topics: TopicPlan;
  readonly events: number;
  readonly eventBytes: number;
  /** Open loop: each event is due at its own time, late or not. 0 is as fast as the stream allows. */
  readonly perSecond: number;
  /** Each event has a trace context, and one in this many is sampled. If absent, none has a context. */
  readonly sampledEvery?: number;
  /** Whether each event has a message id, as those from ingest have. */
  readonly messageIds?: boolean;
  /** Whether the counters of events go on where the plan before left them, and do not begin at 1. */
  readonly goesOn?: boolean;
}

export interface PublishReport {
  readonly startedUs: number;
  readonly endedUs: number;
  readonly lastSequence: number;
}

/** Publishes directly into the stream, with the headers that ingest sends. */
export class StreamPublisher {
  readonly #link: NatsLink;
  readonly #counters = new Map<number, number>();
  #pending: Promise<void>[] = [];
  #lastSequence = 0;

  private constructor(link: NatsLink) {
    this.#link = link;
  }

  static async open(servers: string): Promise<StreamPublisher> {
    const logger = pino({ level: 'error' });
    const link = await new NatsLink({ servers, name: 'bench', logger }).connect();
    // The answer has the key to seal with.
    await readStreamState(link);
    return new StreamPublisher(link);
  }

  async publish(plan: PublishPlan): Promise<PublishReport> {
    const startedUs = nowUs();
    const templates = new Map<string, Buffer>();
    const { topics, events, eventBytes, perSecond } = plan;
    for (let index = 0; index < events; index++) {
      const dueUs = perSecond > 0 ? startedUs + (index * 1_000_000) / perSecond : nowUs();
      // All due events go out together, because timers are exact to a millisecond only.
      while (perSecond > 0 && nowUs() < dueUs) await sleep(1);
      const audience = index % topics.audiences;
      const round = Math.floor(index / topics.audiences);
      const topic = topicOf(topics, audience, round % topics.topicsEach);
      let template = templates.get(topic);
      if (!template) {
        template = layOut(topic, eventBytes);
        templates.set(topic, template);
      }
      const counter = (this.#counters.get(audience) ?? 0) + 1;
      this.#counters.set(audience, counter);
      const event = stamp(template, { counter, timeUs: dueUs });
      const more = { headers: this.#headersFor(plan, index, { topic, event }) };
      const isLast = index === events - 1;
      if (isLast || index % ACKNOWLEDGED_EVERY === 0) this.#request(topic, event, more);
      else this.#link.connection.publish(toSubject(topic), event, more);
      if (this.#pending.length >= ACKNOWLEDGEMENTS_PENDING_MAX) await this.#pending.shift();
    }
    await Promise.all(this.#pending);
    this.#pending = [];
    return { startedUs, endedUs: nowUs(), lastSequence: this.#lastSequence };
  }

  watch(): Promise<StreamWatch> {
    return StreamWatch.open(this.#link);
  }

  /** Starts the counters again at 1. */
  restart(): void {
    this.#counters.clear();
  }

  #headersFor(
    { sampledEvery, messageIds }: PublishPlan,
    index: number,
    { topic, event }: { readonly topic: string; readonly event: Buffer },
  ): MsgHdrs {
    const all = headers();
    all.set(SEAL_HEADER, this.#link.seal.sign({ subject: toSubject(topic), payload: event }));
    all.set('content-type', 'application/cloudevents+json');
    // As long as the hash that ingest sends.
    if (messageIds) all.set('Nats-Msg-Id', randomBytes(16).toString('base64url'));
    if (sampledEvery !== undefined) {
      const [trace, span] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
      all.set('traceparent', `00-${trace}-${span}-${index % sampledEvery === 0 ? '01' : '00'}`);
    }
    return all;
  }

  #request(topic: string, event: Buffer, more: { headers: MsgHdrs }): void {
    const acknowledged = this.#link.connection
      .request(toSubject(topic), event, { timeout: ACKNOWLEDGEMENT_TIMEOUT_MS, ...more })
      .then((reply) => {
        const { seq, error } = reply.json<{ seq?: number; error?: { description: string } }>();
        if (seq === undefined) throw new Error(`The stream refused: ${error?.description}`);
        this.#lastSequence = Math.max(this.#lastSequence, seq);
      });
    this.#pending.push(acknowledged);
  }
}
