import type { Attributes } from '@opentelemetry/api';

/*
 * Names after the OpenTelemetry semantic conventions for messaging. Span names hold the template
 * and not the topic, so that there are few of them.
 */

const DESTINATION_TEMPLATE = 'tidemark.events.{topic}';

export const SEND_SPAN = `send ${DESTINATION_TEMPLATE}`;
export const PROCESS_SPAN = `process ${DESTINATION_TEMPLATE}`;

export interface MessageOfSpan {
  /** The NATS subject. */
  readonly subject: string;
  readonly id?: string | undefined;
  readonly bytes?: number | undefined;
}

/** An append, which waits for the stream's acknowledgement. */
export function sendAttributes({ subject, id, bytes }: MessageOfSpan): Attributes {
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
