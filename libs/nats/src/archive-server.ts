import type { Msg } from '@nats-io/transport-node';
import { asTidemarkError, ERROR_CODES, type ErrorCode } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import {
  type ArchivedEvent,
  type ArchivePage,
  type ArchiveQuery,
  type ArchiveState,
  encodePage,
} from './archive-pages.ts';
import type { NatsLink } from './link.ts';

/** Requests are `tidemark.archive.<operation>`, outside the subjects of the events stream. */
export const ARCHIVE_SUBJECT = 'tidemark.archive';

/** Several replay services share the requests. */
const QUEUE = 'replay';

/** What answers the archive's requests; each call is short and synchronous. */
export interface ArchiveSource {
  state(): ArchiveState;
  read(query: ArchiveQuery): ArchivePage<ArchivedEvent>;
  /** The last sequence stored before that time, 0 when there is none. */
  sequenceAt(timeMs: number): number;
}

/** Answers archive reads until it is stopped. */
export function serveArchive(
  { connection }: NatsLink,
  source: ArchiveSource,
  log: Logger,
): { stop(): Promise<void> } {
  const subscription = connection.subscribe(`${ARCHIVE_SUBJECT}.*`, {
    queue: QUEUE,
    callback: (error, request) => {
      if (error) log.error({ reason: error.message }, 'archive requests ended');
      else answer(source, request, log);
    },
  });
  return { stop: () => subscription.drain() };
}

function answer(source: ArchiveSource, request: Msg, log: Logger): void {
  try {
    request.respond(perform(source, request));
  } catch (error) {
    const { code, message } = asTidemarkError(error);
    if (code === 'internal') log.error({ err: error }, 'an archive request failed');
    request.respond(JSON.stringify({ error: { code, message } }));
  }
}

function perform(source: ArchiveSource, request: Msg): Uint8Array | string {
  const operation = request.subject.slice(ARCHIVE_SUBJECT.length + 1);
  if (operation === 'state') return JSON.stringify(source.state());
  if (operation === 'read') {
    const page = source.read(request.json<ArchiveQuery>());
    return encodePage({ state: source.state(), ...page });
  }
  if (operation === 'sequence-at') {
    const { timeMs } = request.json<{ timeMs: number }>();
    return JSON.stringify({ sequence: source.sequenceAt(timeMs) });
  }
  return JSON.stringify({ error: { code: 'not_found', message: `No operation ${operation}.` } });
}

/** Whether a text names an error code; replies come from another process, perhaps an older one. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
