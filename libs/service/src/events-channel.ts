import type { Channel } from '@tidemark/http';
import { eventShape, STRUCTURED_TYPE, toSubject } from '@tidemark/protocol';
import { z } from 'zod';

const headers = z.looseObject({
  'content-type': z.string().optional(),
  'Nats-Msg-Id': z.string().optional(),
  traceparent: z.string().optional(),
  tracestate: z.string().optional(),
});

/** The subjects of the events in NATS, for the AsyncAPI document (PROTOCOL.md section 12). */
export function eventsChannel({
  receives,
  sends,
}: {
  readonly receives: boolean;
  readonly sends: boolean;
}): Channel {
  const message = {
    storedEvent: {
      summary:
        'An event; in binary mode the attributes are in ce- headers, and the payload is the data.',
      contentType: STRUCTURED_TYPE,
      headers,
      payload: eventShape,
    },
  };
  return {
    name: 'events',
    protocol: 'nats',
    address: toSubject('{topic}'),
    summary: 'The events in the stream',
    description:
      'A program with a user at NATS may publish there itself. The subject decides the topic.',
    parameters: { topic: 'A topic (PROTOCOL.md section 2).' },
    ...(receives && { receives: message }),
    ...(sends && { sends: message }),
  };
}
