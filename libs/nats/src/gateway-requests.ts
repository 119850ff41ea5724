import { randomBytes } from 'node:crypto';
import type { Logger } from '@tidemark/telemetry';
import { isSentTo, type NatsLink } from './link.ts';
import { unavailable } from './refusals.ts';

/** Where a gateway asks all gateways for their connections. */
const CONNECTIONS_SUBJECT = 'tidemark.control.connections';

/** Gateways answer each other below this subject, and nowhere else, whatever a request names. */
const ANSWERS = 'tidemark.control.answers.';

/** How long a gateway waits for the others, in ms. */
export const GATEWAY_ANSWER_MS = 2000;

/** Most answers to one request. */
const ANSWERS_MAX = 1000;

/** A request to all gateways, and when its answers are enough. */
export interface GatewayRequest<T> {
  readonly body: object;
  /** @returns `undefined` for what is no answer */
  readonly parse: (bytes: Uint8Array) => T | undefined;
  readonly isComplete: (answers: readonly T[]) => boolean;
}

/**
 * Asks all gateways for their connections.
 *
 * @returns the answers that came until they are complete, or until 2 s have passed
 * @throws TidemarkError `unavailable` while NATS is away
 */
export async function askGateways<T>(link: NatsLink, request: GatewayRequest<T>): Promise<T[]> {
  if (!link.connected) throw unavailable('NATS is away.');
  const { body, parse, isComplete } = request;
  const reply = ANSWERS + randomBytes(12).toString('hex');
  const answers: T[] = [];
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      if (!subscription.isClosed()) subscription.unsubscribe();
      resolve();
    };
    const timer = setTimeout(end, GATEWAY_ANSWER_MS);
    const subscription = link.subscribe(reply, {
      onMessage: (message) => {
        const answer = isSentTo(message, reply) ? parse(message.data) : undefined;
        if (answer === undefined || answers.length >= ANSWERS_MAX) return;
        answers.push(answer);
        if (isComplete(answers)) end();
      },
      onEnded: end,
    });
    link.connection.publish(CONNECTIONS_SUBJECT, JSON.stringify(body), { reply });
  });
  return answers;
}

/**
 * Answers what gateways ask, until the link is closed.
 *
 * @param answer is called with a request, and with what sends its answer: JSON
 */
export function serveGateways(
  link: NatsLink,
  answer: (request: Uint8Array, send: (json: string) => void) => void,
  logger: Logger,
): void {
  link.subscribe(CONNECTIONS_SUBJECT, {
    onMessage: (message) => {
      const { reply = '' } = message;
      if (!isSentTo(message, CONNECTIONS_SUBJECT) || !reply.startsWith(ANSWERS)) return;
      answer(message.data, (json) => {
        try {
          if (link.connected) link.connection.publish(reply, json);
        } catch (err) {
          // Larger than NATS takes. Whoever asks is told that this gateway did not answer.
          logger.error({ err }, 'a list of connections was not sent');
        }
      });
    },
    onEnded: ({ message: reason }) => {
      logger.error({ reason }, 'requests for lists of connections are no longer received');
    },
  });
}
