import type { LogBounds } from '@tidemark/protocol';

/** A message as the stream stored it. */
export interface StoredRecord {
  readonly uid: number;
  readonly epoch: string;
  readonly sequence: number;
  readonly topic: string;
  readonly timeMs: number;
  readonly json: Buffer;
  /** False for a message that is not an event. It has a sequence and is never delivered. */
  readonly valid: boolean;
  /** Whether the stream lost it in a crash. */
  lost: boolean;
}

/** What an epoch held at one time. Each crash that loses the end begins a further view. */
type View = (StoredRecord | undefined)[];

interface Epoch {
  readonly name: string;
  readonly views: View[];
  /** The last sequence up to which each view equals the one before it. */
  readonly bases: number[];
}

/** A version of the log: an epoch, and a view in it, which counts the crashes that lost its end. */
export interface LogVersion {
  readonly epoch: string;
  readonly view: number;
}

const EVENT_HEAD = '{"specversion":"1.0","source":"/s","type":"t","id":"';

/** Every message that was ever stored, and what the stream still holds. Checkers compare with it. */
export class History {
  readonly #epochs = new Map<string, Epoch>();
  readonly #records: StoredRecord[] = [];
  #current: Epoch;
  readonly #highest = new Map<string, number>();
  firstSequence = 1;
  lastSequence = 0;

  constructor() {
    this.#current = this.#begin();
  }

  get version(): LogVersion {
    return { epoch: this.#current.name, view: this.#current.views.length - 1 };
  }

  get epochs(): readonly string[] {
    return [...this.#epochs.keys()];
  }

  bounds(): LogBounds {
    const { firstSequence, lastSequence } = this;
    return { epoch: this.#current.name, firstSequence, lastSequence };
  }

  /** The highest sequence that the stream ever had in an epoch, before it lost its end. */
  highestIn(epoch: string): number {
    return this.#highest.get(epoch) ?? 0;
  }

  /** The message that the stream holds now at a sequence. */
  at(sequence: number): StoredRecord | undefined {
    if (sequence < this.firstSequence || sequence > this.lastSequence) return undefined;
    return this.#current.views.at(-1)?.[sequence];
  }

  /** The first message after a sequence that the stream holds. */
  next(after: number): StoredRecord | undefined {
    const from = Math.max(after + 1, this.firstSequence);
    for (let sequence = from; sequence <= this.lastSequence; sequence++) {
      const record = this.at(sequence);
      if (record) return record;
    }
    return undefined;
  }

  publish(
    topic: string,
    { timeMs, padding, valid }: { timeMs: number; padding: number; valid: boolean },
  ): StoredRecord {
    const uid = this.#records.length;
    const text = `${EVENT_HEAD}${uid}","topic":"${topic}","data":"${'x'.repeat(padding)}"}`;
    const record: StoredRecord = {
      uid,
      epoch: this.#current.name,
      sequence: this.#nextSequence(),
      topic,
      timeMs,
      json: Buffer.from(text),
      valid,
      lost: false,
    };
    this.#records.push(record);
    this.#view()[record.sequence] = record;
    this.#passHoles();
    return record;
  }

  /** Uses up a sequence without a message, as a deletion from the middle does. */
  leaveHole(): void {
    this.#nextSequence();
  }

  #nextSequence(): number {
    this.lastSequence++;
    const { name } = this.#current;
    this.#highest.set(name, Math.max(this.highestIn(name), this.lastSequence));
    return this.lastSequence;
  }

  /** Retention removes every message up to and including a sequence. */
  expire(through: number): void {
    this.firstSequence = Math.min(Math.max(this.firstSequence, through + 1), this.lastSequence + 1);
    this.#passHoles();
  }

  /** The server crashes and comes back without the messages after a sequence. */
  loseEnd(last: number): void {
    const view = this.#view();
    for (let sequence = last + 1; sequence <= this.lastSequence; sequence++) {
      const record = view[sequence];
      if (record) record.lost = true;
    }
    this.#current.views.push(view.slice(0, last + 1));
    this.#current.bases.push(last);
    this.lastSequence = last;
    this.firstSequence = Math.min(this.firstSequence, last + 1);
  }

  /** The stream is deleted and created again. */
  beginEpoch(): void {
    for (const record of this.#view()) if (record) record.lost = true;
    this.#current = this.#begin();
    this.firstSequence = 1;
    this.lastSequence = 0;
  }

  /** The record with this JSON. */
  find(json: Uint8Array): StoredRecord | undefined {
    const head = Buffer.from(json.buffer, json.byteOffset, EVENT_HEAD.length + 8).toString(
      'latin1',
    );
    const record = this.#records[Number.parseInt(head.slice(EVENT_HEAD.length), 10)];
    return record?.json.equals(json) ? record : undefined;
  }

  /** Whether a version of the log has this event at its sequence. */
  has({ epoch, view }: LogVersion, record: StoredRecord): boolean {
    return this.#epochs.get(epoch)?.views[view]?.[record.sequence] === record;
  }

  /** The last sequence up to which two views of an epoch are equal. */
  commonTo(epoch: string, one: number, other: number): number {
    const { bases = [] } = this.#epochs.get(epoch) ?? {};
    const [low, high] = one < other ? [one, other] : [other, one];
    return Math.min(Number.POSITIVE_INFINITY, ...bases.slice(low + 1, high + 1));
  }

  /** The events of a version of the log after `after`, up to and including `through`. */
  *range(version: LogVersion, after: number, through: number): Iterable<StoredRecord> {
    const view = this.#epochs.get(version.epoch)?.views[version.view] ?? [];
    const last = Math.min(through, view.length - 1);
    for (let sequence = after + 1; sequence <= last; sequence++) {
      const record = view[sequence];
      if (record?.valid) yield record;
    }
  }

  /** Moves the first sequence to that of a message, as NATS reports it. */
  #passHoles(): void {
    const view = this.#view();
    while (this.firstSequence <= this.lastSequence && !view[this.firstSequence]) {
      this.firstSequence++;
    }
  }

  #view(): View {
    const view = this.#current.views.at(-1);
    if (!view) throw new Error('An epoch has at least one view.');
    return view;
  }

  #begin(): Epoch {
    const name = `e${this.#epochs.size + 1}`;
    const epoch: Epoch = { name, views: [[]], bases: [0] };
    this.#epochs.set(name, epoch);
    return epoch;
  }
}
