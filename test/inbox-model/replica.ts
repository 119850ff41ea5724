import {
  type CloudEvent,
  formatCursor,
  inboxTopic,
  type Position,
  TidemarkError,
} from '@tidemark/protocol';
import { createLogger, Metrics } from '@tidemark/telemetry';
import { Archive } from '../../services/replay/src/archive/archive.ts';
import { Eraser } from '../../services/replay/src/erasing/eraser.ts';
import { InboxChanges } from '../../services/replay/src/inbox/changes.ts';
import { Inboxes } from '../../services/replay/src/inbox/inboxes.ts';
import { EPOCH, toCursor } from './log.ts';
import type { World } from './world.ts';

const ME = 'me';
const logger = createLogger('test', 'silent');

/** A replay service: an archive that follows the log, and the inboxes that it serves. */
export class Replica {
  archive: Archive;
  readonly #world: World;
  readonly inboxes: Inboxes;
  readonly changes: InboxChanges;
  readonly eraser: Eraser;
  readonly owner = { subject: ME, topic: inboxTopic(ME) ?? '', permits: () => true };
  readonly options = { isElsewhere: () => false, runStep: async <T>(work: () => T) => work() };

  constructor(world: World) {
    this.#world = world;
    this.archive = this.#newArchive();
    const store = {
      snapshot: () => {
        const { archive } = this;
        if (!archive.bounds) throw new Error('It has begun.');
        return { archive, bounds: archive.bounds };
      },
    };
    this.inboxes = new Inboxes({ ...this.options, store, ownTopics: (sub) => [`user.${sub}.>`] });
    this.changes = new InboxChanges({
      ...this.options,
      inboxes: this.inboxes,
      metrics: new Metrics('test'),
      rate: { consume: async () => {} },
      followsMax: 100,
      now: () => world.nowMs,
      readBounds: async () => ({
        epoch: EPOCH,
        firstSequence: world.first,
        lastSequence: world.end,
      }),
      progress: {
        waitForSequence: async (sequence) => {
          this.project(sequence - this.end);
          return true;
        },
      },
      appender: {
        append: (event, request) => this.#append(event, request?.precondition),
        lastCursor: async (topic) => this.#held(topic),
      },
    });
    this.eraser = new Eraser({
      store: this,
      logger,
      stream: {
        eraseEvent: async (sequence) => this.#delete(sequence),
        nextOfTopic: async (topic, from) =>
          world.log.find(
            (one) =>
              one.sequence >= from && one.topic === topic && !world.deleted.has(one.sequence),
          )?.sequence,
        append: async (notice) => world.append(notice),
      },
    });
  }

  /** Does some of what erasures ask for. @returns whether there may be more */
  erase(): Promise<boolean> {
    return this.eraser.step().catch(() => false);
  }

  get end(): number {
    return this.archive.bounds?.lastSequence ?? 0;
  }

  project(count: number): void {
    const events = this.#world.log.slice(this.end, this.end + Math.max(0, count));
    const last = events.at(-1);
    const kept = events.filter(({ sequence }) => !this.#world.deleted.has(sequence));
    if (last) this.archive.appendEvents(kept, [], last.sequence);
  }

  /** A new archive, which gets all of the log that the old one had. */
  rebuild(): void {
    const { end } = this;
    this.archive.close();
    this.archive = this.#newArchive();
    this.project(end);
  }

  /** As the stream does it: it knows only the last event of the topic that it still has. */
  async #append(event: CloudEvent, precondition: unknown) {
    const world = this.#world;
    const cursor = this.#held(event.topic);
    const expected = precondition === 'empty' ? null : formatCursor(precondition as Position);
    if (cursor !== expected) {
      throw new TidemarkError('precondition_failed', 'It is another one.', { cursor });
    }
    return { cursor: toCursor(world.append(event)), duplicate: false };
  }

  #held(topic: string): string | null {
    const { log, first } = this.#world;
    // Inboxes are not erased here.
    const last = log.findLast((one) => one.topic === topic)?.sequence ?? 0;
    return last >= first ? toCursor(last) : null;
  }

  /** An archive that has yet to read of an erasure gets what is erased from the stream first. */
  #delete(sequence: number): void {
    const world = this.#world;
    const end = Math.min(...world.replicas.map((one) => one.end));
    if (!world.recordsOf(sequence).some((record) => record <= end))
      throw new Error('NATS is away.');
    world.deleted.add(sequence);
  }

  #newArchive(): Archive {
    const archive = new Archive(':memory:', logger, () => this.#world.nowMs);
    archive.begin({ epoch: EPOCH }, 1);
    return archive;
  }
}
