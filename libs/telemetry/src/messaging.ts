import type { Attributes } from '@opentelemetry/api';
import { type EncodedEvent, type TraceContext, toSubject } from '@tidemark/protocol';
import { contextOf, type Span, type Tracer } from './tracer.ts';

/*
 * Names follow the OpenTelemetry semantic conventions for messaging. Span names hold the template and not
 * the topic, so that there are few different ones.
 */

const DESTINATION_TEMPLATE = 'tidemark.events.{topic}';

const SEND_SPAN = `send ${DESTINATION_TEMPLATE}`;
/** The name of spans that process messages of the stream. */
export const PROCESS_SPAN = `process ${DESTINATION_TEMPLATE}`;

/** A message as the attributes of its span name it. */
export interface MessageOfSpan {
  /** The NATS subject. */
  readonly subject: string;
  /** The message id in NATS. */
  readonly id?: string | undefined;
  readonly bytes?: number | undefined;
}

/** An append to trace. */
export interface Send<T> {
  readonly event: Omit<EncodedEvent, 'json'>;
  /** The span that asks for the append. */
  readonly parent?: Span | undefined;
  /** Appends the event. `context` travels in the message's headers. */
  readonly append: (context: TraceContext | undefined) => Promise<T>;
}

/**
 * Runs an append in a span of kind producer, which ends with the stream's acknowledgement.
 *
 * @returns what `append` returns
 * @throws what `append` throws
 */
export function traceSend<T extends { readonly cursor: string; readonly duplicate: boolean }>(
  tracer: Tracer,
  { event, parent, append }: Send<T>,
): Promise<T> {
  const attributes = {
    ...sendAttributes({ subject: toSubject(event.topic) }),
    'cloudevents.event_id': event.id,
    'cloudevents.event_source': event.source,
  };
  // The event may have begun in another trace than this request.
  const origin = event.trace;
  const options = { kind: 'producer', parent, attributes, links: origin ? [origin] : [] } as const;
  return tracer.within(SEND_SPAN, options, async (span) => {
    const stored = await append(contextOf(span));
    span.setAttributes({
      'tidemark.cursor': stored.cursor,
      'tidemark.duplicate': stored.duplicate,
    });
    return stored;
  });
}

function sendAttributes({ subject, id, bytes }: MessageOfSpan): Attributes {
  return {
    ...destination('send'),
    'messaging.destination.name': subject,
    ...(id !== undefined && { 'messaging.message.id': id }),
    ...(bytes !== undefined && { 'messaging.message.body.size': bytes }),
  };
}

/** The attributes of a span that processes one message of the stream. */
export function processAttributes({ subject, id, bytes }: MessageOfSpan): Attributes {
  return {
    ...sendAttributes({ subject, id, bytes }),
    ...destination('process'),
  };
}

/** The attributes of a span that processes several messages of the stream together. */
export function batchAttributes(messages: number): Attributes {
  return { ...destination('process'), 'messaging.batch.message_count': messages };
}

function destination(operation: 'send' | 'process'): Attributes {
  return {
    'messaging.system': 'nats',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.template': DESTINATION_TEMPLATE,
  };
}
