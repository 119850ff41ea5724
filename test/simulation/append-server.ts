import type { MsgHdrs } from '@nats-io/transport-node';
import { lineageMetadata, SEAL_HEADER } from '@tidemark/nats';
import { fromSubject } from '@tidemark/protocol';
import type { Clock } from '../../services/gateway/src/scheduling/clock.ts';
import type { History } from './history.ts';
import type { StoredRecord } from './versions.ts';
import type { World } from './world.ts';

const WRONG_SEQUENCE = { err_code: 10_071, code: 400, description: 'wrong last sequence' };
const IN_PROCESS = { err_code: 10_164, code: 400, description: 'wrong last sequence' };
const NO_MESSAGE = { err_code: 10_037, code: 404, description: 'no message found' };

/** The key with which the publisher seals; it never changes. */
export const SEAL_METADATA = { tidemark_seal: `${'A'.repeat(43)}.0` };

type Headers = ReadonlyMap<string, string>;

interface RequestOptions {
  readonly timeout: number;
}

interface PublishOptions {
  readonly reply: string;
  readonly headers: MsgHdrs;
}

interface Reply {
  readonly data: Uint8Array;
  json(): unknown;
}

/** What a publisher has sent, and the record that it became. */
interface Sent {
  readonly record: StoredRecord;
  readonly seal: string;
  readonly payload: Uint8Array;
}

interface MessageQuery {
  readonly seq?: number;
  readonly next_by_subj?: string;
  readonly last_by_subj?: string;
}

/** JetStream as a publisher reaches it: what it stores, what it refuses, and what it says it has. */
export class AppendServer {
  readonly #world: World;
  readonly #clock: Clock;
  readonly #stored = new Map<string, Sent>();
  /** How far the server reaches that answered the last append; it may have been held up. */
  #reaches = Number.POSITIVE_INFINITY;
  /** The answers to the present append, and how many of them were `in process`. */
  #answers = 0;
  #undecided = 0;
  #onAnswer: (subject: string, data: Uint8Array) => void = () => {};

  constructor(world: World, clock: Clock) {
    this.#world = world;
    this.#clock = clock;
  }

  /** Whether the present append was answered, each time with `in process`. */
  get isUndecided(): boolean {
    return this.#answers > 0 && this.#answers === this.#undecided;
  }

  /** Another append begins. */
  begin(): void {
    this.#answers = 0;
    this.#undecided = 0;
  }

  /** The record with a message id, if the stream still holds it. */
  find(id: string): StoredRecord | undefined {
    const record = this.#stored.get(id)?.record;
    return record && this.#history.at(record.sequence) === record ? record : undefined;
  }

  /** As the request of a NATS connection. */
  async request(subject: string, body: unknown, options: RequestOptions): Promise<Reply> {
    if (subject.includes('STREAM.INFO')) return toReply(this.#info());
    return new Promise((resolve, reject) => {
      const fail = () => {
        this.#answers++;
        reject(new Error('No answer in time.'));
      };
      const cancel = this.#clock.after(options.timeout, fail);
      this.#exchange(subject, () => this.#message(JSON.parse(String(body)))).then((answer) => {
        cancel();
        resolve(toReply(answer));
      }, fail);
    });
  }

  /** As a message that is published on a NATS connection. An answer that gets lost is missed by its publisher. */
  publish(subject: string, payload: Uint8Array, { reply, headers }: PublishOptions): void {
    // The bytes are there in this call alone.
    const sent = readHeaders(headers);
    this.#exchange(subject, () => this.#append(fromSubject(subject) ?? '', sent, payload)).then(
      (answer) => this.#onAnswer(reply, toReply(answer).data),
      () => {
        this.#answers++;
      },
    );
  }

  /** Calls the listener with each acknowledgement and its subject. */
  onAcknowledgement(listener: (subject: string, data: Uint8Array) => void): void {
    this.#onAnswer = listener;
  }

  async #exchange(subject: string, answer: () => object): Promise<object> {
    await this.#hop(subject);
    const answered = answer();
    await this.#hop('answer to the publisher');
    return answered;
  }

  #append(topic: string, headers: Headers, payload: Uint8Array): object {
    const { stale, clock, random, undecidedUntilMs } = this.#world;
    const expected = headers.get('Nats-Expected-Last-Subject-Sequence') ?? '';
    const id = headers.get('Nats-Msg-Id') ?? '';
    const isHeldUp = stale && clock.nowMs < stale.untilMs && random.chance(0.5);
    this.#reaches = isHeldUp ? stale.bounds.lastSequence : Number.POSITIVE_INFINITY;
    this.#answers++;
    if (expected !== '' && clock.nowMs < undecidedUntilMs) {
      this.#undecided++;
      return { error: IN_PROCESS, seq: 0 };
    }
    const last = this.#last(topic)?.sequence ?? 0;
    if (expected !== '' && Number(expected) !== last) return { error: WRONG_SEQUENCE, seq: 0 };
    const first = this.find(id);
    if (first) return { stream: 's', seq: first.sequence, duplicate: true };
    const timeMs = Math.floor(clock.nowMs);
    const record = this.#history.publish({ topic, type: 't', timeMs, padding: 0, valid: true });
    this.#stored.set(id, { record, seal: headers.get(SEAL_HEADER) ?? '', payload });
    return { stream: 's', seq: record.sequence };
  }

  #message(query: MessageQuery): object {
    const found = this.#search(query);
    if (!found) return { error: NO_MESSAGE };
    const subject = `tidemark.events.${found.topic}`;
    const [id, sent] = [...this.#stored].find(([, { record }]) => record === found) ?? [];
    if (!sent) return { message: { seq: found.sequence, subject } };
    const lines = ['NATS/1.0', `Nats-Msg-Id: ${id}`, `${SEAL_HEADER}: ${sent.seal}`, '', ''];
    const hdrs = Buffer.from(lines.join('\r\n')).toString('base64');
    const data = Buffer.from(sent.payload).toString('base64');
    return { message: { seq: found.sequence, subject, hdrs, data } };
  }

  #search({ seq = 0, next_by_subj: next, last_by_subj: last }: MessageQuery) {
    if (last !== undefined) return this.#last(fromSubject(last) ?? '');
    if (next === undefined) return seq <= this.#reaches ? this.#history.at(seq) : undefined;
    const topic = fromSubject(next);
    let record = this.#history.next(seq - 1);
    while (record && topic !== undefined && record.topic !== topic)
      record = this.#history.next(record.sequence);
    return record && record.sequence <= this.#reaches ? record : undefined;
  }

  #last(topic: string): StoredRecord | undefined {
    const { firstSequence, lastSequence } = this.#history;
    const end = Math.min(lastSequence, this.#reaches);
    for (let sequence = end; sequence >= firstSequence; sequence--) {
      const record = this.#history.at(sequence);
      if (record?.topic === topic) return record;
    }
    return undefined;
  }

  #info(): object {
    const { firstSequence, lastSequence, ...lineage } = this.#history.bounds();
    return {
      created: new Date(this.#history.createdMs).toISOString(),
      config: {
        name: 'TIDEMARK_EVENTS',
        num_replicas: 3,
        metadata: { ...lineageMetadata(lineage), ...SEAL_METADATA },
      },
      state: { first_seq: firstSequence, last_seq: lastSequence },
      cluster: { leader: 's1' },
    };
  }

  get #history(): History {
    return this.#world.history;
  }

  async #hop(what: string): Promise<void> {
    await this.#world.requests.hop(what);
    if (!this.#world.natsUp) throw new Error('NATS is away.');
  }
}

function toReply(answer: object): Reply {
  const text = JSON.stringify(answer);
  return { data: Buffer.from(text), json: () => JSON.parse(text) };
}

/** The headers as they would go out. */
function readHeaders(headers: MsgHdrs): Headers {
  const [, ...lines] = String(headers).trimEnd().split('\r\n');
  return new Map(lines.map((line) => line.split(': ', 2) as [string, string]));
}
