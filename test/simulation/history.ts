import {
  ERASURE_TYPE,
  ERASURES_TOPIC,
  type Lineage,
  type LogBounds,
  logOf,
} from '@tidemark/protocol';
import type { LogVersion, Loss, StoredRecord } from './versions.ts';

/** What a log held at one time. Each crash that loses the end begins a further view. */
type View = (StoredRecord | undefined)[];

interface Log {
  readonly name: string;
  readonly createdMs: number;
  readonly views: View[];
  /** The last sequence up to which each view equals the one before it. */
  readonly bases: number[];
  /** The epoch from which on cursors tell the loss that began each view, if there is one. */
  readonly told: (string | undefined)[];
  /** How far the archive reached when each view began. */
  readonly archivedTo: number[];
  /** What the stream's metadata hold. */
  lineage: Lineage;
  /** The highest sequence that it ever had. */
  highest: number;
}

const EVENT_HEAD = '{"specversion":"1.0","source":"/s","id":"';

/** What the log stores of a message. */
interface Publication {
  readonly topic: string;
  readonly type: string;
  readonly timeMs: number;
  readonly padding: number;
  readonly valid: boolean;
}

/** Every message that was ever stored, and what the stream still holds. Checkers compare with it. */
export class History {
  readonly #logs = new Map<string, Log>();
  readonly #epochs: string[] = [];
  /** The view in which each epoch began. */
  readonly #firstViews = new Map<string, number>();
  readonly #records: StoredRecord[] = [];
  #current: Log;
  firstSequence = 1;
  lastSequence = 0;

  constructor() {
    this.#current = this.#begin(0);
  }

  get version(): LogVersion {
    const { lineage, views } = this.#current;
    return { epoch: lineage.epoch, lineage, view: views.length - 1 };
  }

  /** When the stream was created. */
  get createdMs(): number {
    return this.#current.createdMs;
  }

  /** Every epoch that there was, in order. */
  get epochs(): readonly string[] {
    return this.#epochs;
  }

  /** The first view of a log that an epoch may name; the present one for an epoch that never was. */
  viewOf(epoch: string): number {
    const { version } = this;
    const began = epoch === version.epoch ? undefined : this.#firstViews.get(epoch);
    return began ?? version.view;
  }

  bounds(): LogBounds {
    const { firstSequence, lastSequence } = this;
    return { ...this.#current.lineage, firstSequence, lastSequence };
  }

  /** The highest sequence that the stream ever had in the log of an epoch, before it lost its end. */
  highestIn(epoch: string): number {
    return this.#logs.get(logOf(epoch))?.highest ?? 0;
  }

  /** The message that the stream holds now at a sequence. */
  at(sequence: number): StoredRecord | undefined {
    if (sequence < this.firstSequence || sequence > this.lastSequence) return undefined;
    const record = this.#current.views.at(-1)?.[sequence];
    return record?.deleted ? undefined : record;
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

  publish({ topic, type, timeMs, padding, valid }: Publication): StoredRecord {
    const uid = this.#records.length;
    // The type may lie behind data that looks like it.
    const named = `"type":"${type}"`;
    const data = `"data":{"type":"none","text":"${'x'.repeat(padding)}"}`;
    const rest = uid % 2 === 0 ? `${named},${data}` : `${data},${named}`;
    return this.#store({ topic, type, timeMs, valid }, `"topic":"${topic}",${rest}`);
  }

  /** Stores the record of an erasure, as a replay service does. */
  recordErasure(erased: StoredRecord, timeMs: number): void {
    const data = JSON.stringify({ sequences: [erased.sequence] });
    const rest = `"topic":"${ERASURES_TOPIC}","type":"${ERASURE_TYPE}","data":${data}`;
    const described = { topic: ERASURES_TOPIC, type: ERASURE_TYPE, timeMs, valid: true };
    erased.erasedBy = this.#store(described, rest);
  }

  /** Deletes an erased event from the stream. */
  delete(erased: StoredRecord): void {
    erased.deleted = true;
    this.#passHoles();
  }

  /** The erased events of the present log. */
  get erased(): readonly StoredRecord[] {
    return this.#view().filter((record) => record?.erasedBy) as StoredRecord[];
  }

  #store({ topic, type, timeMs, valid }: Omit<Publication, 'padding'>, rest: string): StoredRecord {
    const uid = this.#records.length;
    const text = `${EVENT_HEAD}${uid}",${rest}}`;
    const record: StoredRecord = {
      uid,
      log: this.#current.name,
      view: this.#current.views.length - 1,
      sequence: this.#nextSequence(),
      topic,
      type,
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
    // Nothing can be deleted that the log has lost already.
    if (this.lastSequence < this.#current.highest) return;
    this.#nextSequence();
  }

  #nextSequence(): number {
    this.lastSequence++;
    const log = this.#current;
    log.highest = Math.max(log.highest, this.lastSequence);
    return this.lastSequence;
  }

  /** Retention removes every message up to and including a sequence. */
  expire(through: number): void {
    this.firstSequence = Math.min(Math.max(this.firstSequence, through + 1), this.lastSequence + 1);
    this.#passHoles();
  }

  /** The server crashes and comes back without the messages after a sequence. */
  loseEnd(last: number, archivedTo: number): void {
    const view = this.#view();
    for (let sequence = last + 1; sequence <= this.lastSequence; sequence++) {
      const record = view[sequence];
      if (record) record.lost = true;
    }
    this.#current.views.push(view.slice(0, last + 1));
    this.#current.bases.push(last);
    this.#current.told.push(undefined);
    this.#current.archivedTo.push(archivedTo);
    this.lastSequence = last;
    this.firstSequence = Math.min(this.firstSequence, last + 1);
  }

  /** The stream is deleted and created again. */
  beginLog(nowMs: number): void {
    for (const record of this.#view()) if (record) record.lost = true;
    this.#current = this.#begin(nowMs);
    this.firstSequence = 1;
    this.lastSequence = 0;
  }

  /** Replay writes the lineage of the log. */
  writeLineage(lineage: Lineage): void {
    const log = this.#current;
    const through = lineage.earlier?.at(-1)?.through ?? Number.POSITIVE_INFINITY;
    this.#noteEpoch(lineage.epoch, log.views.length - 1);
    log.lineage = lineage;
    for (let view = 1; view < log.views.length; view++) {
      if (this.sharedUpTo(lineage.epoch, view - 1, view) >= through)
        log.told[view] ??= lineage.epoch;
    }
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
    return this.#logs.get(logOf(epoch))?.views[view]?.[record.sequence] === record;
  }

  /** The last sequence up to which two views of a log have the same events. */
  sharedUpTo(epoch: string, one: number, other: number): number {
    const losses = this.losses(epoch, one, other);
    return Math.min(Number.POSITIVE_INFINITY, ...losses.map(({ through }) => through));
  }

  /** The last sequence that no loss between two views of a log cut off. */
  cutTo(epoch: string, one: number, other: number): number {
    const { bases = [] } = this.#logs.get(logOf(epoch)) ?? {};
    const [low, high] = one < other ? [one, other] : [other, one];
    return Math.min(Number.POSITIVE_INFINITY, ...bases.slice(low + 1, high + 1));
  }

  /** What was lost between two views of a log. */
  losses(epoch: string, one: number, other: number): Loss[] {
    const log = this.#logs.get(logOf(epoch));
    const [low, high] = one < other ? [one, other] : [other, one];
    const losses: Loss[] = [];
    for (let view = low + 1; log && view <= high; view++) {
      const archivedTo = log.archivedTo[view] ?? 0;
      losses.push({ view, through: firstDifference(log, view) - 1, archivedTo });
    }
    return losses;
  }

  /** Whether a cursor of this epoch tells the loss that began a view. */
  tells(epoch: string, view: number): boolean {
    const told = this.#logs.get(logOf(epoch))?.told[view];
    return told !== undefined && this.#epochs.indexOf(told) <= this.#epochs.indexOf(epoch);
  }

  /** Whether the present epoch of a log tells a loss. */
  isTold(epoch: string, view: number): boolean {
    return this.#logs.get(logOf(epoch))?.told[view] !== undefined;
  }

  /** The events of a version of the log after `after`, up to and including `through`. */
  *range(version: LogVersion, after: number, through: number): Iterable<StoredRecord> {
    const view = this.#logs.get(logOf(version.epoch))?.views[version.view] ?? [];
    const last = Math.min(through, view.length - 1);
    for (let sequence = after + 1; sequence <= last; sequence++) {
      const record = view[sequence];
      if (record?.valid) yield record;
    }
  }

  /** Moves the first sequence to that of a message, as NATS reports it. */
  #passHoles(): void {
    const view = this.#view();
    const isThere = (record: StoredRecord | undefined) => record && !record.deleted;
    while (this.firstSequence <= this.lastSequence && !isThere(view[this.firstSequence])) {
      this.firstSequence++;
    }
  }

  #noteEpoch(epoch: string, firstView: number): void {
    if (this.#firstViews.has(epoch)) return;
    this.#epochs.push(epoch);
    this.#firstViews.set(epoch, firstView);
  }

  #view(): View {
    const view = this.#current.views.at(-1);
    if (!view) throw new Error('An epoch has at least one view.');
    return view;
  }

  #begin(createdMs: number): Log {
    const name = `e${this.#logs.size + 1}`;
    const lineage = { epoch: name };
    const log = {
      name,
      createdMs,
      views: [[]],
      bases: [0],
      told: [undefined],
      archivedTo: [0],
      lineage,
      highest: 0,
    };
    this.#logs.set(name, log);
    this.#noteEpoch(name, 0);
    return log;
  }
}

/** The first sequence after a loss at which one of the two views has an event. */
function firstDifference({ views, bases }: Log, view: number): number {
  const before = views[view - 1] ?? [];
  const after = views[view] ?? [];
  const last = Math.max(before.length, after.length);
  let sequence = (bases[view] ?? 0) + 1;
  while (sequence < last && !before[sequence]?.valid && !after[sequence]?.valid) sequence++;
  return sequence < last ? sequence : Number.POSITIVE_INFINITY;
}
