import { formatCursor, isSampled, readTraceContext } from '@tidemark/protocol';
import { link, type Span, type Tracer } from '@tidemark/telemetry';
import {
  type CatchUpEnd,
  type CatchUpObserver,
  TIERS,
  type Tier,
} from '../../connections/observer.ts';
import type { EventEntry } from '../../log/event-entry.ts';
import type { CatchUpBegun } from './connection-report.ts';

/** Most events that the span of a catch-up links to: the first ones with a sampled trace. */
export const LINKS_MAX = 32;

/** Most events that are examined for such a link. */
const LINK_LOOKS_MAX = 256;

/** Finds the attribute in the JSON of an event, which is one line with its attributes at the top. */
const TRACEPARENT = /"traceparent":"([0-9a-f-]{55})"/;

export interface CatchUpResult {
  /** The oldest tier that was read. */
  readonly tier: Tier;
  readonly seconds: number;
  readonly events: number;
  readonly how: CatchUpEnd;
}

/** A catch-up, from `subscribed` to `live`, as a child span of the handshake's span. */
export class CatchUpReport implements CatchUpObserver {
  readonly #span: Span;
  readonly #onEnd: (result: CatchUpResult) => void;
  readonly #startMs = performance.now();
  readonly #events: Record<Tier, number> = { tail: 0, stream: 0, archive: 0 };
  readonly #epoch: string;
  #last: number;
  #looks = 0;
  #links = 0;

  constructor(begun: CatchUpBegun, tracer: Tracer, onEnd: (result: CatchUpResult) => void) {
    const { connection, subscription, handshake, position, head } = begun;
    this.#onEnd = onEnd;
    this.#epoch = position.epoch;
    this.#last = position.sequence;
    this.#span = tracer.span('catch up', {
      parent: handshake,
      attributes: {
        'tidemark.connection': connection,
        'tidemark.subscription': subscription,
        'tidemark.cursor': formatCursor(position),
        'tidemark.catch_up.behind': head - position.sequence,
      },
    });
  }

  written(tier: Tier, entries: readonly EventEntry[]): void {
    this.#events[tier] += entries.length;
    this.#last = entries.at(-1)?.sequence ?? this.#last;
    if (this.#span.isRecording()) this.#link(entries);
  }

  end(how: CatchUpEnd): void {
    const { tail, stream, archive } = this.#events;
    const events = tail + stream + archive;
    const tier = TIERS.findLast((name) => this.#events[name] > 0) ?? 'tail';
    const seconds = (performance.now() - this.#startMs) / 1000;
    this.#span.setAttributes({
      'tidemark.catch_up.end': how,
      'tidemark.catch_up.events': events,
      'tidemark.catch_up.events.tail': tail,
      'tidemark.catch_up.events.stream': stream,
      'tidemark.catch_up.events.archive': archive,
      'tidemark.catch_up.through': formatCursor({ epoch: this.#epoch, sequence: this.#last }),
    });
    this.#span.end();
    this.#onEnd({ tier, seconds, events, how });
  }

  /** The archive keeps no headers, so this reads the trace context from the event itself. */
  #link(entries: readonly EventEntry[]): void {
    for (const { json } of entries) {
      if (this.#links >= LINKS_MAX || this.#looks++ >= LINK_LOOKS_MAX) return;
      const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('latin1');
      const [, traceparent] = TRACEPARENT.exec(text) ?? [];
      const context = readTraceContext({ traceparent });
      if (!context || !isSampled(context.traceparent)) continue;
      this.#links++;
      link(this.#span, context);
    }
  }
}
