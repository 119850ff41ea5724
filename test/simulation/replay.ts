import type { ArchiveAnnouncement, SequenceRange } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import {
  type JudgedArchive,
  type JudgedStream,
  judgeEpoch,
} from '../../services/replay/src/projector/epoch-judge.ts';
import { ModelArchive } from './archive.ts';
import { LoopClock } from './clock.ts';
import { StreamAccess } from './stream-access.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** The pause after a start of the feed that failed. */
const RETRY_MS = 500;
/** How often it looks at the stream. */
const CHECK_MS = 1000;

const SILENT = { warn: () => {} } as unknown as Logger;

/** A replay service: a model of its archive, which the real `judgeEpoch` gives an epoch. */
export class SimulatedReplay {
  readonly name: string;
  readonly archive: ModelArchive;
  /** Whether the process runs. */
  up = true;
  readonly #world: World;
  #access: StreamAccess;
  readonly #clock: LoopClock;
  /** Whether it waits for an answer, or before the next start. */
  #busy = false;
  #start = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    const isElsewhere = (range: SequenceRange) =>
      world.replays.some((other) => other !== this && other.archive.holdsAny(range));
    this.archive = new ModelArchive(world.history, world.random.chance(0.2), isElsewhere);
    this.#clock = new LoopClock(world.clock);
    this.#access = new StreamAccess(world, this.#clock, name);
    this.#clock.after(CHECK_MS, () => void this.#checkStream());
  }

  /** Whether its feed can start. */
  get idle(): boolean {
    return !this.archive.open && !this.#busy;
  }

  /** Starts its feed. The archive follows the stream once it is aligned. */
  async start(): Promise<void> {
    const start = ++this.#start;
    this.#busy = true;
    try {
      const { archive } = this;
      const access = this.#access;
      const state = await access.state();
      const stream: JudgedStream = {
        readRecord: (sequence) => access.readRecord(sequence),
        reachesBeyond: async (sequence) => (await access.state()).lastSequence > sequence,
        writeLineage: (lineage, judged) => access.writeLineage(lineage, judged),
      };
      const bounds = await judgeEpoch(this.#judged(), state, stream, SILENT);
      if (start !== this.#start) return;
      archive.align(bounds);
      for (const { archives } of this.#world.gateways) archives.hear(this);
      this.#busy = false;
    } catch (error) {
      if (error instanceof Violation) this.#world.fail(error);
      if (start !== this.#start) return;
      this.#clock.after(RETRY_MS, () => {
        if (start === this.#start) this.#busy = false;
      });
    }
  }

  /** What it tells all others about its archive; `undefined` before that belongs to an epoch. */
  announcement(): ArchiveAnnouncement | undefined {
    const { name, archive, up } = this;
    const holdings = archive.holdings();
    return holdings && { instance: name, archive: name, leaving: !up, holdings };
  }

  /** Receives up to `max` messages of the stream. */
  receive(max: number): void {
    this.#access.knownEnd.noteSequence(this.archive.receive(max));
  }

  /** Ends the process, or starts it again. */
  toggle(): void {
    this.up = !this.up;
    this.#end();
  }

  /** Loses its feed. */
  lose(): void {
    this.#start++;
    this.#busy = false;
    this.archive.lose();
  }

  /** Starts the process again without its file. */
  rebuild(): void {
    this.archive.rebuild();
    this.#end();
  }

  #end(): void {
    this.lose();
    this.#access.ended = true;
    this.#access = new StreamAccess(this.#world, this.#clock, this.name);
    this.#access.knownEnd.noteSequence(this.archive.end);
  }

  /** As the keeper of the stream: starts the feed again where the log has another epoch. */
  async #checkStream(): Promise<void> {
    const { epoch } = await this.#access.state().catch(() => ({ epoch: undefined }));
    const { archive } = this;
    const isLeft = epoch !== undefined && archive.begun && archive.bounds().epoch !== epoch;
    if (isLeft && archive.open) this.lose();
    this.#clock.after(CHECK_MS, () => void this.#checkStream());
  }

  #judged(): JudgedArchive {
    const { archive } = this;
    return {
      get bounds() {
        return archive.begun ? archive.bounds() : undefined;
      },
      lastEvent: (range) => archive.lastEvent(range),
      isErased: ({ sequence }) => archive.isErased(sequence),
    };
  }
}
