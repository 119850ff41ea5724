import { randomBytes } from 'node:crypto';
import type { Steps } from '@tidemark/fairness';
import {
  ANNOUNCED_RANGES_MAX,
  ArchiveAnnouncer,
  ArchiveClient,
  ArchiveDirectory,
  followArchives,
  type NatsLink,
  type RequestRoom,
  serveArchive,
} from '@tidemark/nats';
import type { TypeFilter } from '@tidemark/protocol';
import { Filler, type FillerOptions } from '../filling/filler.ts';
import { createArchiveSource } from './archive-source.ts';

/** How long another archive may take to answer one step of the filling. */
const FILL_TIMEOUT_MS = 5000;

export interface SharedArchiveOptions extends Omit<FillerOptions, 'client' | 'directory'> {
  readonly link: NatsLink;
  /** How long an archive that fell silent still counts as holding its events, in ms. */
  readonly absenceMs: number;
  /** Where the requests of gateways wait for their turn, and their memory until then. */
  readonly steps: Steps;
  readonly room: RequestRoom;
  /** Types of tombstones; none if absent. */
  readonly tombstones: TypeFilter | undefined;
}

/** The archive among those of other replay services: it is served and announced, and filled from them. */
export class SharedArchive {
  readonly filler: Filler;
  readonly #options: SharedArchiveOptions;
  readonly #directory: ArchiveDirectory;
  readonly #instance = randomBytes(8).toString('hex');
  #announcer: ArchiveAnnouncer | undefined;

  constructor(options: SharedArchiveOptions) {
    this.#options = options;
    const { link, absenceMs } = options;
    const directory = new ArchiveDirectory({ absenceMs, except: this.#instance });
    const client = new ArchiveClient({ link, directory, timeoutMs: FILL_TIMEOUT_MS });
    this.#directory = directory;
    this.filler = new Filler({ ...options, directory, client });
  }

  /** Tells the others at once what the archive holds. */
  announce(): void {
    this.#announcer?.announce();
  }

  /**
   * Begins when the link is connected.
   *
   * @returns what has to be stopped, in this order, once the projector has stopped
   */
  start(): { stop(): void | Promise<void> }[] {
    const { link, store, logger, steps, room, tombstones } = this.#options;
    const instance = this.#instance;
    const source = createArchiveSource(store, {
      isElsewhere: (...range) => this.filler.isElsewhere(...range),
      tombstones,
    });
    const served = serveArchive(link, source, { instance, logger, steps, room });
    const announcer = new ArchiveAnnouncer(link, {
      instance,
      archive: () => store.archive.id,
      holdings: () => store.holdings(ANNOUNCED_RANGES_MAX),
      logger,
    });
    this.#announcer = announcer;
    const followed = followArchives(link, {
      directory: this.#directory,
      logger,
      own: () => store.archive.id,
    });
    this.filler.start();
    return [this.filler, announcer, followed, served];
  }
}
