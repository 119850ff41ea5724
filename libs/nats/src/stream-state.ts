import {
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  type NextMsgRequest,
  type SeqMsgRequest,
  type StreamInfo,
} from '@nats-io/jetstream';
import { type LogBounds, toSubject } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type AppendClock, PROCESS_CLOCK } from './append-clock.ts';
import type { StreamAnswer } from './known-end.ts';
import { readLineage } from './lineage.ts';
import { type NatsLink, pause } from './link.ts';
import { type LogRecord, toRecord } from './records.ts';

/** The name of the events stream in JetStream. */
export const STREAM_NAME = 'TIDEMARK_EVENTS';

/** Where the server reports a created, changed or deleted stream (`<event>.<stream>`). */
const STREAM_ADVISORY = `$JS.EVENT.ADVISORY.STREAM.*.${STREAM_NAME}`;

const API_TIMEOUT_MS = 5000;
const WAIT_MS = 250;

/** How long a replicated stream may seem to end before a cursor of it. */
const REACHING_WAIT_MS = 3000;

/** The bounds of a stream, from an answer that may be believed. */
export type StreamState = LogBounds & Pick<StreamAnswer, 'replicated'>;

/**
 * The bounds of a stream now; `undefined` when it does not exist.
 *
 * @param name the events stream if absent
 * @throws the error of NATS when it does not answer in 5 s; `StaleAnswerError` when what it answers is
 *   older than what is known
 */
export async function readStreamState(
  link: NatsLink,
  name = STREAM_NAME,
): Promise<StreamState | undefined> {
  const asked = link.knownEnd.sequence;
  const info = await readInfo(link, name);
  return info && toState(link, info, asked);
}

/**
 * Reads one record of the events stream from the server that leads it. A direct get could be answered by
 * a copy that lags.
 *
 * @returns `undefined` where that server has none there
 */
export async function readRecord(link: NatsLink, sequence: number): Promise<LogRecord | undefined> {
  return readRecordBy(link, { seq: sequence });
}

/** Reads the record that a query names, as `readRecord` does. */
export async function readRecordBy(
  link: NatsLink,
  query: SeqMsgRequest | NextMsgRequest,
): Promise<LogRecord | undefined> {
  const { streams } = await manager(link);
  // The library has the search for the next one for direct gets alone, and the server for both.
  const message = await streams.getMessage(STREAM_NAME, query as SeqMsgRequest);
  if (!message) return undefined;
  const { seq: sequence, subject, time, data } = message;
  const parts = {
    ...{ sequence, timeMs: time.getTime(), subject, data },
    get headers() {
      return message.header;
    },
  };
  return toRecord(parts, link.seal);
}

/**
 * Reads the first record from a sequence on, as `readRecord` does.
 *
 * @returns `undefined` where the server that leads the stream has none
 */
export async function readNextRecord(
  link: NatsLink,
  sequence: number,
): Promise<LogRecord | undefined> {
  return readRecordBy(link, { seq: sequence, next_by_subj: toSubject('>') });
}

/**
 * The bounds of the events stream for a reader that has a cursor of it. Where the stream is replicated
 * and ends before the cursor, the server that answers may be late: it is asked again for some seconds.
 *
 * @returns bounds that may end before `sequence` all the same
 * @throws as `readStreamState`; `StaleAnswerError` where the process itself knows that the log reaches it
 */
export async function readStateReaching(
  link: NatsLink,
  sequence: number,
): Promise<StreamState | undefined> {
  const deadlineMs = performance.now() + REACHING_WAIT_MS;
  for (;;) {
    const state = await readStreamState(link);
    const isLate = state?.replicated && state.lastSequence < sequence;
    if (!isLate) return state;
    if (performance.now() >= deadlineMs) {
      link.knownEnd.checkBeyond(state, sequence);
      return state;
    }
    await pause(WAIT_MS);
  }
}

/** A search in the events stream. */
export interface NextSearch {
  /** Subjects, which may hold wildcards. */
  readonly subjects: readonly string[];
  /** The search begins after this sequence, and ends with `through`, which the stream must have. */
  readonly after: number;
  readonly through: number;
}

/**
 * Finds the next record of each subject at the server that leads the stream.
 *
 * @returns their sequences; none for a subject without a record in the range
 * @throws Error where the server that answers does not reach `through`
 */
export async function nextSequences(
  link: NatsLink,
  { subjects, after, through }: NextSearch,
): Promise<number[]> {
  const { streams } = await manager(link);
  // The library has this request for direct gets alone, and the server for both.
  const get = (query: SeqMsgRequest | NextMsgRequest) =>
    streams.getMessage(STREAM_NAME, query as SeqMsgRequest);
  // The server answers in the order of the requests. One that has `through` at the first is not one
  // that lacks it at the others.
  const [end, ...found] = await Promise.all([
    // What was erased is passed over.
    get({ seq: through, next_by_subj: toSubject('>') }),
    ...subjects.map((subject) => get({ seq: after + 1, next_by_subj: subject })),
  ]);
  if (!end) throw new Error(`The stream has no record ${through}.`);
  return found.flatMap((message) => (message && message.seq <= through ? [message.seq] : []));
}

/** Calls the listener when the server reports that the events stream was created, changed or deleted. */
export function onStreamChange(link: NatsLink, logger: Logger, listener: () => void): void {
  link.subscribe(STREAM_ADVISORY, {
    onMessage: listener,
    onEnded: ({ message: reason }) => {
      logger.error({ reason }, 'changes of the stream are no longer reported');
    },
  });
}

/** What `waitForStream` logs to, and what ends it. */
export interface WaitOptions {
  readonly logger: Logger;
  readonly signal?: AbortSignal;
  /** The process's own if absent. */
  readonly clock?: Pick<AppendClock, 'pause'>;
}

/**
 * Waits until replay, which owns the stream, has created it with a key for seals.
 *
 * @throws the signal's reason once it is aborted
 */
export async function waitForStream(
  link: NatsLink,
  { logger, signal, clock = PROCESS_CLOCK }: WaitOptions,
): Promise<StreamState> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      const state = await readStreamState(link);
      if (state && link.seal.known) return state;
      if (attempt === 1) logger.info({ stream: STREAM_NAME }, 'waiting for the stream');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (attempt % 20 === 1) logger.warn({ reason }, 'waiting for JetStream');
    }
    await clock.pause(WAIT_MS, signal);
  }
}

/**
 * What a server says about a stream; `undefined` when there is no such stream.
 *
 * @throws the error of NATS when it does not answer in time, in 5 s if absent
 */
export async function readInfo(
  link: NatsLink,
  name: string,
  timeoutMs = API_TIMEOUT_MS,
): Promise<StreamInfo | undefined> {
  try {
    const { streams } = await manager(link, timeoutMs);
    return await streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) {
      return undefined;
    }
    throw error;
  }
}

/** The API of JetStream, with which streams are read and changed. */
export function manager(link: NatsLink, timeoutMs = API_TIMEOUT_MS) {
  const { connection, apiPrefix } = link;
  return jetstreamManager(connection, { timeout: timeoutMs, checkAPI: false, apiPrefix });
}

/**
 * The bounds that a server names.
 *
 * @param asked the known sequence when the server was asked; the present one if absent
 * @throws StaleAnswerError when they are older than what is known
 */
export function toState(link: NatsLink, info: StreamInfo, asked?: number): StreamState {
  const { created, config, state, cluster } = info;
  const createdMs = Date.parse(created);
  const answer = {
    ...readLineage(config.metadata, createdMs),
    createdMs,
    firstSequence: Math.max(state.first_seq, 1),
    lastSequence: state.last_seq,
    replicated: config.num_replicas > 1,
    leader: cluster?.leader,
  };
  if (config.name === STREAM_NAME) {
    link.knownEnd.check(answer, asked);
    link.seal.learn(config.metadata);
  }
  return answer;
}
