import type { Attributes } from '@opentelemetry/api';
import {
  type CloudEvent,
  messageId,
  readTraceContext,
  type TraceContext,
  toSubject,
} from '@tidemark/protocol';
import { contextOf, type Span, type Tracer } from './tracer.ts';

/*
 * Names after the OpenTelemetry semantic conventions for messaging. Span names hold the template
 * and not the topic, so that there are few of them.
 */

const DESTINATION_TEMPLATE = 'tidemark.events.{topic}';

const SEND_SPAN = `send ${DESTINATION_TEMPLATE}`;
export const PROCESS_SPAN = `process ${DESTINATION_TEMPLATE}`;

export interface MessageOfSpan {
  /** The NATS subject. */
  readonly subject: string;
  readonly id?: string | undefined;
  readonly bytes?: number | undefined;
}

export interface Send<T> {
  readonly event: CloudEvent;
  /** The span that asks for it. */
  readonly parent?: Span | undefined;
  /** @param context what travels with the message */
  readonly append: (context: TraceContext | undefined) => Promise<T>;
}

/** An append with its span, which waits for the stream's acknowledgement. */
export function traceSend<T extends { readonly cursor: string; readonly duplicate: boolean }>(
  tracer: Tracer,
  { event, parent, append }: Send<T>,
): Promise<T> {
  const attributes = sendAttributes({ subject: toSubject(event.topic), id: messageId(event) });
  // Where the event itself began, if that is somewhere else than this request.
  const origin = readTraceContext(event);
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

/** One message that was received from the stream. */
export function processAttributes({ subject, id, bytes }: MessageOfSpan): Attributes {
  return {
    ...sendAttributes({ subject, id, bytes }),
    ...destination('process'),
  };
}

/** Several messages that were received from the stream and are worked on together. */
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
