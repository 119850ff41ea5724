import type { WebSocket } from 'ws';
import type { Connection } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import type { MessageQueue } from '../../scheduling/message-queue.ts';
import type { Gateway } from '../gateway.ts';
import { MessageRate, type Verdict } from './message-rate.ts';
import type { WebSocketSession } from './session.ts';

/** Unsent answers of one connection; at this size the gateway stops reading from it. */
const UNSENT_BYTES_MAX = 512 * 1024;

/** Messages of one connection in the queue; at this size the gateway stops reading from it too. */
const WAITING_BYTES_MAX = 64 * 1024;

export interface MessageReaderOptions {
  readonly gateway: Gateway;
  readonly messageQueue: MessageQueue;
  readonly connection: Connection;
  readonly session: WebSocketSession;
  readonly member: Member;
  readonly messagesPerSecondMax: number;
}

/**
 * Reads a client's messages: no faster than its rate allows, no more than it takes answers to, and no
 * more than the gateway processes.
 *
 * @returns resumes reading where nothing prevents it: for when the client has taken answers
 */
export function readMessages(webSocket: WebSocket, options: MessageReaderOptions): () => void {
  const { gateway, messageQueue, connection, session, member, messagesPerSecondMax } = options;
  const { clock } = gateway.core;
  const rate = new MessageRate(messagesPerSecondMax, clock.nowMs());
  const countMessage = (): Verdict => {
    const nowMs = clock.nowMs();
    member.lastReceivedMs = nowMs;
    const verdict = rate.countMessage(nowMs);
    if (verdict !== 'accepted') gateway.limits.hit('messages_per_second');
    if (verdict === 'exceeded') connection.close('limited', 'Messages came too fast for too long.');
    return verdict;
  };
  let waitingBytes = 0;
  let takesAnswers = true;
  const resumeReading = (): void => {
    takesAnswers = connection.sink.unsentBytes < UNSENT_BYTES_MAX;
    if (takesAnswers && waitingBytes < WAITING_BYTES_MAX) webSocket.resume();
  };
  const answer = (respond: () => void): void => {
    respond();
    if (connection.sink.unsentBytes < UNSENT_BYTES_MAX || !takesAnswers) return;
    takesAnswers = false;
    gateway.limits.hit('unsent_answers');
    webSocket.pause();
  };
  webSocket.on('message', (bytes: Buffer, isBinary) => {
    const verdict = countMessage();
    if (verdict === 'exceeded') return;
    const text = isBinary ? '' : bytes.toString('utf8');
    const { length } = bytes;
    waitingBytes += length;
    if (waitingBytes >= WAITING_BYTES_MAX) webSocket.pause();
    messageQueue.enqueue(() => {
      waitingBytes -= length;
      answer(() => {
        if (verdict === 'refused') session.refuseTooFast(text, messagesPerSecondMax);
        else if (isBinary) session.refuseBinary();
        else session.receive(text);
      });
      if (webSocket.isPaused) resumeReading();
    });
  });
  webSocket.on('ping', (bytes: Buffer) => {
    if (countMessage() === 'accepted') answer(() => webSocket.pong(bytes));
  });
  webSocket.on('pong', countMessage);
  return resumeReading;
}
