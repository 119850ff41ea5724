import type { Channel, ChannelMessage } from '@tidemark/http';
import {
  CLOSE_CODES,
  clientMessageShape,
  cursorShape,
  eventShape,
  SUBPROTOCOL,
  serverMessageShape,
} from '@tidemark/protocol';
import { z } from 'zod';

const SUMMARIES: Readonly<Record<string, string>> = {
  subscribe: 'Asks for a subscription.',
  unsubscribe: 'Ends a subscription.',
  publish: 'Stores an event.',
  authenticate: 'A newer token of the same user.',
  ping: 'Is answered with pong.',
  welcome: 'The first message.',
  subscribed: 'The subscription begins after this cursor.',
  unsubscribed: 'No event of the subscription follows.',
  live: 'The subscription has caught up; once.',
  gap: 'A part of the log will not come.',
  skipped: 'With deliver latest: how many events up to the cursor were skipped.',
  heartbeat: 'Every subscription has passed the cursor.',
  authenticated: 'The newer token is in use.',
  pong: 'The answer to ping.',
  published: 'The stream has stored the event.',
  error: 'What is wrong with a message or a subscription; the connection stays open.',
};

const eventMessage = z.strictObject({
  type: z.literal('event'),
  cursor: cursorShape,
  event: eventShape,
});

/** `/v1/ws`, for the AsyncAPI document (PROTOCOL.md section 6). */
export const webSocketChannel: Channel = {
  name: 'webSocket',
  protocol: 'ws',
  address: '/v1/ws',
  summary: `Subscriptions and publishing over WebSocket, with the subprotocol ${SUBPROTOCOL}`,
  description:
    'The token comes in `Authorization`, in a subprotocol `bearer.<token>` or in `access_token`; or a ticket in `ticket`.',
  query: z.object({ access_token: z.string().optional(), ticket: z.string().optional() }),
  receives: messagesOf(clientMessageShape.options),
  sends: {
    event: {
      summary: 'An event, for every subscription that it belongs to.',
      payload: eventMessage,
    },
    ...messagesOf(serverMessageShape.options),
  },
  closeCodes: CLOSE_CODES,
};

/** One message for each type, which its `type` names. */
function messagesOf(
  options: readonly z.ZodObject<{ type: z.ZodLiteral<string> }>[],
): Record<string, ChannelMessage> {
  return Object.fromEntries(
    options.map((payload) => {
      const type = payload.shape.type.value;
      return [type, { summary: SUMMARIES[type] ?? type, payload }];
    }),
  );
}
