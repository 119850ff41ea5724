import { WebSocket } from 'ws';
import { Failure } from '../infra/launcher/failure.mjs';

/**
 * @typedef {{ id: string, type: string, topic: string, data: any }} Event
 * @typedef {{ type: 'event', cursor: string, event: Event }
 *   | { type: 'subscribed' | 'live' | 'heartbeat', cursor?: string }
 *   | { type: 'gap', from: string, to: string, reason: string }} Message
 */

/**
 * Opens one subscription and hands over its messages, in order, until the connection ends. Where the reader
 * goes on from then is its own matter: it keeps the cursor of what it has handled.
 *
 * @param {object} options
 * @param {string} options.gateway base URL
 * @param {string} options.token
 * @param {readonly string[]} options.topics patterns
 * @param {string} options.after a cursor, or another start
 * @param {(message: Message) => boolean} options.onMessage synchronous, so that no message waits in a queue;
 *   false ends the connection
 * @param {AbortSignal} [options.signal] ends the connection
 * @returns {Promise<void>} resolves when the connection has ended and may be opened again
 * @throws Failure where it is of no use to come back
 */
export function follow({ gateway, token, topics, after, onMessage, signal }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${gateway.replace(/^http/, 'ws')}/v1/ws`, 'tidemark.v1', {
      headers: { authorization: `Bearer ${token}` },
    });
    /** @type {NodeJS.Timeout | undefined} */
    let silence;
    const stop = () => socket.terminate();
    /** @param {string} reason */
    const giveUp = (reason) => {
      reject(new Failure(`${gateway}: ${reason}`));
      stop();
    };
    socket.once('open', () =>
      socket.send(JSON.stringify({ type: 'subscribe', id: 'example', topics, after })),
    );
    socket.on('message', (bytes) => {
      // What had arrived before the connection was ended.
      if (socket.readyState !== WebSocket.OPEN) return;
      const message = JSON.parse(String(bytes));
      // A connection on which nothing comes for two heartbeats is dead.
      if (message.type === 'welcome') silence = setTimeout(stop, 2 * message.heartbeatMs);
      silence?.refresh();
      if (message.type === 'error' && !message.retryable) giveUp(message.message);
      else if (message.type === 'error' || !onMessage(message)) stop();
    });
    socket.once('unexpected-response', (_, { statusCode = 0 }) => {
      if (statusCode < 500 && statusCode !== 429)
        giveUp(`the handshake is answered with ${statusCode}`);
      else stop();
    });
    // `close` follows.
    socket.on('error', () => undefined);
    socket.once('close', (code) => {
      clearTimeout(silence);
      signal?.removeEventListener('abort', stop);
      if (code >= 4500) giveUp(`closed with ${code}`);
      resolve();
    });
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
  });
}
