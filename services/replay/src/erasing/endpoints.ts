import { setTimeout as sleep } from 'node:timers/promises';
import { type Principal, requireAdmin } from '@tidemark/auth';
import { type Applicant, EVENT_LOOP, Steps } from '@tidemark/fairness';
import { type Confirm, type Endpoint, type Limits, readJson, type Serve } from '@tidemark/http';
import type { EventAppender } from '@tidemark/nats';
import {
  ERASED_SEQUENCES_MAX,
  type Erasure,
  type ErasureRequest,
  type ErasureTarget,
  formatCursor,
  isReservedTopic,
  type Position,
  parseCursor,
  parseErasureRequest,
  TidemarkError,
  toErasureEvent,
  toPresent,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type HistorySource, requireLost, waitForArchive } from '../history/range.ts';
import type { KnownErasure } from '../sqlite/erasure-table.ts';
import { eraseDescription, erasureDescription, type Status } from './descriptions.ts';
import { findEvents } from './search.ts';

/** Most bytes of a body: three texts. */
const BODY_BYTES_MAX = 16 * 1024;

/** Requests at once. Each may search the archive, and waits for its erasure. */
const ERASURES_MAX = 16;

/** How long an answer waits for its erasure to be complete. */
const COMPLETE_WAIT_MS = 5000;
const POLL_MS = 20;

/** What the endpoints of erasures work with. */
export interface ErasuresOptions extends HistorySource {
  readonly appender: EventAppender;
  readonly audit: Logger;
  readonly limits: Limits;
  readonly confirm: Confirm;
  /** Requires that the stream deletes events. @throws TidemarkError `not_erasable` */
  readonly requireErasable: () => Promise<void>;
}

const NOTHING: Status = { cursor: null, events: 0, complete: true };

/** The calls with which operators erase events (PROTOCOL.md section 13.3). */
export function erasureEndpoints(options: ErasuresOptions): Endpoint[] {
  const { limits, confirm } = options;
  const places = limits.budget('erasures', { max: ERASURES_MAX, of: 'requests for erasures' });
  const steps = new Steps(EVENT_LOOP);

  const post: Serve = async (request, response, principal) => {
    requireAdmin(principal);
    const place = places.open(principal.subject);
    try {
      place.take(1);
      const wanted = parseErasureRequest(await readJson(request, BODY_BYTES_MAX));
      confirm(principal);
      const leaving = new AbortController();
      response.once('close', () => leaving.abort());
      const flow = { user: principal.subject, connection: response };
      const applicant = { flow, signal: leaving.signal };
      const erasing = new Erasing(options, { principal, applicant, steps });
      const status = await erasing.erase(wanted);
      response.status(status.complete ? 200 : 202).json(status);
    } finally {
      place.release();
    }
  };
  const get: Serve = async (request, response, principal) => {
    requireAdmin(principal);
    const position = parseCursor(String(request.params.cursor));
    await waitForArchive(options, position);
    const { archive, bounds } = options.store.snapshot();
    const present = toPresent(bounds, position);
    const known = present && !present.lost && archive.erasures.find(present.sequence);
    if (!known) {
      throw new TidemarkError('not_found', `There is no erasure at ${formatCursor(position)}.`);
    }
    response.json(toStatus(known, bounds.epoch));
  };
  return [
    { path: '/v1/admin/erasures', methods: { POST: { ...eraseDescription, serve: post } } },
    { path: '/v1/admin/erasures/:cursor', methods: { GET: { ...erasureDescription, serve: get } } },
  ];
}

interface Asking {
  readonly principal: Principal;
  readonly applicant: Applicant;
  readonly steps: Steps;
}

/** One request for an erasure. */
class Erasing {
  readonly #options: ErasuresOptions;
  readonly #asking: Asking;

  constructor(options: ErasuresOptions, asking: Asking) {
    this.#options = options;
    this.#asking = asking;
  }

  async erase({ target, reason }: ErasureRequest): Promise<Status> {
    const { requireErasable, readBounds, store, audit } = this.#options;
    await requireErasable();
    const { epoch, lastSequence } = await readBounds(0);
    // What was stored before the request must be known, so that it is found.
    await waitForArchive(this.#options, { epoch, sequence: lastSequence });
    const erasures = await this.#resolve(target);
    if ('record' in erasures) return this.#untilComplete([erasures.record]);
    const records: number[] = [];
    for (const erasure of erasures) records.push(await this.#record(erasure, reason));
    const { subject: by } = this.#asking.principal;
    const cursors = records.map((sequence) => {
      return formatCursor({ epoch: store.snapshot().bounds.epoch, sequence });
    });
    audit.warn({ target: describe(target), reason, cursors, by }, 'erasing');
    return this.#untilComplete(records);
  }

  /** @returns what has to be recorded, or the record that says it already */
  #resolve(
    target: ErasureTarget,
  ):
    | Promise<readonly Erasure[] | { readonly record: number }>
    | readonly Erasure[]
    | { readonly record: number } {
    if (target.kind === 'cursor') return this.#resolveCursor(target.position);
    if (target.kind === 'topic') return this.#resolveTopic(target.topic);
    return this.#resolveNames(target);
  }

  #resolveCursor(position: Position): readonly Erasure[] | { readonly record: number } {
    const { archive, bounds } = this.#options.store.snapshot();
    const present = toPresent(bounds, position);
    const { sequence = 0 } = present ?? {};
    if (!present || present.lost || sequence < 1 || sequence > bounds.lastSequence) {
      throw new TidemarkError('not_found', `The log has no event at ${formatCursor(position)}.`);
    }
    const topic = archive.findEvent(sequence)?.topic;
    if (topic !== undefined && isReservedTopic(topic)) {
      throw new TidemarkError('forbidden', 'Records of the servers cannot be erased.');
    }
    const known = archive.erasures.ofEvent(sequence);
    return known ? { record: known.record } : [{ sequences: [sequence] }];
  }

  /** Another archive may have events of the topic that this one lacks, so it is recorded in any case. */
  #resolveTopic(topic: string): readonly Erasure[] | { readonly record: number } {
    const { archive } = this.#options.store.snapshot();
    const known = archive.erasures.ofTopic(topic);
    const isNew = (archive.topics.findEntry(topic)?.lastSequence ?? 0) > (known?.record ?? 0);
    return known && !isNew ? { record: known.record } : [{ topic }];
  }

  async #resolveNames(names: { source: string; id: string }): Promise<readonly Erasure[]> {
    const { store } = this.#options;
    const { steps, applicant } = this.#asking;
    const snapshot = store.snapshot();
    const { archive, bounds } = snapshot;
    for (const hole of archive.missingRanges({ after: 0, through: bounds.lastSequence })) {
      requireLost(this.#options, bounds.epoch, hole);
    }
    const found = await findEvents(snapshot, names, (step) => steps.run(step, applicant));
    const parts: Erasure[] = [];
    for (let start = 0; start < found.length; start += ERASED_SEQUENCES_MAX) {
      parts.push({ sequences: found.slice(start, start + ERASED_SEQUENCES_MAX) });
    }
    return parts;
  }

  /** @returns the sequence of the record */
  async #record(erasure: Erasure, reason: string): Promise<number> {
    const { appender } = this.#options;
    const { principal, applicant } = this.#asking;
    applicant.signal.throwIfAborted();
    const record = { id: crypto.randomUUID(), erasure, reason, by: principal.subject };
    const { cursor } = await appender.append(toErasureEvent({ ...record, nowMs: Date.now() }));
    return parseCursor(cursor).sequence;
  }

  async #untilComplete(records: readonly number[]): Promise<Status> {
    const last = records.at(-1);
    if (last === undefined) return NOTHING;
    const { store } = this.#options;
    const endMs = performance.now() + COMPLETE_WAIT_MS;
    for (;;) {
      const { archive, bounds } = store.snapshot();
      const known = records.map((record) => archive.erasures.find(record));
      const status = {
        cursor: formatCursor({ epoch: bounds.epoch, sequence: last }),
        events: known.reduce((sum, one) => sum + (one?.events ?? 0), 0),
        complete: known.every((one) => one?.state === 'complete'),
      };
      const isOver = performance.now() >= endMs || this.#asking.applicant.signal.aborted;
      if (status.complete || isOver) return status;
      await sleep(POLL_MS);
    }
  }
}

function toStatus({ record, events, state }: KnownErasure, epoch: string): Status {
  const cursor = formatCursor({ epoch, sequence: record });
  return { cursor, events, complete: state === 'complete' };
}

/** Audit lines have no id of an event, which may name a person. The cursors tell what was erased. */
function describe(target: ErasureTarget): object {
  if (target.kind === 'cursor') return { cursor: formatCursor(target.position) };
  return target.kind === 'topic' ? { topic: target.topic } : { source: target.source };
}
