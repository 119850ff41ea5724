import { createHash } from 'node:crypto';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import {
  encodeEvent,
  parseEvent,
  requirePublishable,
  TidemarkError,
  toSubject,
} from '@tidemark/protocol';
import { type NamedEvent, TidemarkPublisherError } from '../errors.ts';
import type { OutgoingEvent } from '../outgoing-event.ts';
import type { Attempt, Transport } from '../transport.ts';
import type { PublisherOptions, Stored } from '../types.ts';
import { toPublisherError } from './failures.ts';

/** What is on its way at one time: as much as over HTTP. */
const EVENTS_MAX = 1000;
const BYTES_MAX = 1 << 20;
const ATTEMPTS_MAX = 8;
const ATTEMPT_MS = 5000;

/** What `createNatsPublisher` takes. */
export interface NatsPublisherOptions extends PublisherOptions {
  /** The caller's own, which it closes after the publisher. With `maxReconnectAttempts: -1` it outlives any outage. */
  readonly connection: NatsConnection;
}

/** Publishes to `tidemark.events.<topic>`, and waits for the acknowledgement of JetStream. */
export class StreamTransport implements Transport<Stored> {
  readonly eventsMax = EVENTS_MAX;
  readonly bytesMax = BYTES_MAX;
  readonly attemptsMax = ATTEMPTS_MAX;
  readonly #stream: JetStreamClient;
  readonly #attemptMs: number;

  constructor({ connection, attemptMs }: NatsPublisherOptions) {
    this.#stream = jetstream(connection);
    this.#attemptMs = attemptMs ?? ATTEMPT_MS;
  }

  check(event: NamedEvent, path: string): void {
    try {
      const parsed = parseEvent(event, path);
      requirePublishable(parsed, Date.now(), path);
      encodeEvent(parsed);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      const { code, message, retryable, details } = error;
      const faults = details.faults ?? [{ path: path || '$', message }];
      throw new TidemarkPublisherError({ code, message, retryable, faults });
    }
  }

  /** All are sent without a wait in between: one connection keeps their order. */
  async send({ events }: Attempt): Promise<readonly Stored[]> {
    const outcomes = await Promise.allSettled(events.map((event) => this.#publish(event)));
    const stored = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    if (stored.length === events.length) return stored;
    const failures = outcomes.flatMap((one, index) => {
      return one.status === 'rejected' ? [{ index, error: toPublisherError(one.reason) }] : [];
    });
    // What may pass comes first: once it has, the others are refused again.
    const passing = failures.find(({ error }) => error.retryable);
    if (passing) throw passing.error;
    const [first] = failures;
    const { code = 'internal', message = '' } = first?.error ?? {};
    const faults = failures.map(({ index, error }) => ({
      path: events.length === 1 ? '$' : `[${index}]`,
      message: error.message,
    }));
    throw new TidemarkPublisherError(
      { code, message, retryable: false, faults },
      { cause: first?.error },
    );
  }

  async #publish(event: OutgoingEvent): Promise<Stored> {
    const { id, source, topic } = event;
    const { duplicate } = await this.#stream.publish(toSubject(topic), event.json, {
      headers: headersOf(event),
      timeout: this.#attemptMs,
      retries: 0,
    });
    return { id, source, topic, duplicate };
  }
}

function headersOf(event: OutgoingEvent): MsgHdrs {
  const all = headers();
  all.set('Nats-Msg-Id', messageId(event));
  all.set('content-type', 'application/cloudevents+json');
  for (const [name, value] of Object.entries(event.trace)) all.set(name, value);
  return all;
}

/**
 * By what the stream recognises a repeat: source, topic and id, as ingest has it. It is a hash, because headers lose
 * white space at their ends, and it begins with the name of this library, so that it is nobody else's.
 */
function messageId({ source, topic, id }: OutgoingEvent): string {
  const names = JSON.stringify([source, topic, id]);
  return `tidemark-publisher:${createHash('sha256').update(names).digest('base64url')}`;
}
