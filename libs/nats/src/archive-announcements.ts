import { type ArchiveHoldings, parseAnnouncement } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { ArchiveDirectory } from './archive-directory.ts';
import { ArchiveMemory, readArchiveMemory } from './archive-memory.ts';
import { isSentTo, type NatsLink } from './link.ts';

/** Replay services announce here what their archives hold. */
const ANNOUNCE_SUBJECT = 'tidemark.archives.announce';
/** A message here asks all of them to announce themselves at once. */
const CENSUS_SUBJECT = 'tidemark.archives.census';

const ANNOUNCE_MS = 1000;
/** Many processes may ask at one time; one announcement answers them all. */
const CENSUS_MS = 50;
const SWEEP_MS = 500;

/** What is announced, and by whom. */
export interface AnnouncerOptions {
  /** Names this process. */
  readonly instance: string;
  /** Names the archive; read anew each time, because an archive of a new epoch has another name. */
  readonly archive: () => string;
  /** What the archive holds now; `undefined` before it belongs to an epoch. */
  readonly holdings: () => ArchiveHoldings | undefined;
  readonly logger: Logger;
}

/** Announces an archive, every second and when another process asks. */
export class ArchiveAnnouncer {
  readonly #link: NatsLink;
  readonly #options: AnnouncerOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #memory: ArchiveMemory;
  #answer: NodeJS.Timeout | undefined;

  constructor(link: NatsLink, options: AnnouncerOptions) {
    this.#link = link;
    this.#options = options;
    this.#memory = new ArchiveMemory(link, options.logger);
    this.#timer = setInterval(() => this.announce(), ANNOUNCE_MS);
    link.subscribe(CENSUS_SUBJECT, {
      onMessage: () => {
        this.#answer ??= setTimeout(() => this.announce(), CENSUS_MS);
      },
      onEnded: ({ message: reason }) => {
        options.logger.error({ reason }, 'the census of archives is no longer received');
      },
    });
    this.announce();
  }

  /** Announces the archive at once, such as after its range has changed. */
  announce(leaving = false): void {
    clearTimeout(this.#answer);
    this.#answer = undefined;
    const { instance, logger } = this.#options;
    if (!this.#link.connected) return;
    try {
      const holdings = this.#options.holdings();
      if (!holdings) return;
      const archive = this.#options.archive();
      const announcement = { instance, archive, leaving, holdings };
      this.#link.connection.publish(ANNOUNCE_SUBJECT, JSON.stringify(announcement));
      if (!leaving) this.#memory.note(announcement);
    } catch (error) {
      logger.error({ err: error }, 'the archive cannot be announced');
    }
  }

  /** Tells the others that this process ends, so that they ask it nothing more. */
  stop(): void {
    clearInterval(this.#timer);
    this.announce(true);
  }
}

/** Where the directory's archives are, and which one is this process's own. */
export interface FollowOptions {
  readonly directory: ArchiveDirectory;
  readonly logger: Logger;
  /** The archive of this process, which it needs no memory of. */
  readonly own?: () => string;
}

/** Keeps a directory of archives up to date until it is stopped. The link has been connected. */
export function followArchives(
  link: NatsLink,
  { directory, logger, own }: FollowOptions,
): { stop(): void } {
  const subscription = link.subscribe(ANNOUNCE_SUBJECT, {
    onMessage: (message) => {
      if (!isSentTo(message, ANNOUNCE_SUBJECT)) return;
      directory.note(parseAnnouncement(message.string()));
    },
    onEnded: ({ message: reason }) => {
      logger.error({ reason }, 'announcements of archives are no longer received');
    },
  });
  const begin = (): void => {
    directory.begin();
    link.connection.publish(CENSUS_SUBJECT);
  };
  const forgetConnect = link.onConnect(begin);
  let remembering = false;
  const remember = async (): Promise<void> => {
    if (remembering) return;
    remembering = true;
    try {
      const archives = await readArchiveMemory(link);
      directory.remember(archives.filter(({ archive }) => archive !== own?.()));
    } catch {
      // Tried again with the next sweep.
      remembering = false;
    }
  };
  const timer = setInterval(() => {
    void remember();
    directory.sweep();
  }, SWEEP_MS);
  directory.awaitMemory();
  begin();
  void remember();
  return {
    stop() {
      clearInterval(timer);
      forgetConnect();
      if (!subscription.isClosed()) subscription.unsubscribe();
    },
  };
}
