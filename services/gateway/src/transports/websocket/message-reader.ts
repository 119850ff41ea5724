import type { WebSocket } from 'ws';
import type { Connection } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import type { Gateway } from '../gateway.ts';
import { MessageRate, type Verdict } from './message-rate.ts';
import type { WebSocketSession } from './session.ts';

/** Bytes of unsent answers of one connection at which the gateway stops reading from it. */
const UNSENT_BYTES_MAX = 64 * 1024;

/** Bytes of queued messages of one connection at which the gateway stops reading from it too. */
const WAITING_BYTES_MAX = 64 * 1024;

/** Bytes of the queued messages of all connections at which each may have only one message waiting. */
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024;

/** The queued messages of all connections. */
export interface Backlog {
  bytes: number;
}

export interface MessageReaderOptions {
  readonly gateway: Gateway;
  readonly connection: Connection;
  readonly session: WebSocketSession;
  readonly member: Member;
  readonly messagesPerSecondMax: number;
  readonly backlog: Backlog;
}

/**
 * Reads a client's messages. It stops while the client takes no answers, while too many of its messages
 * wait to be processed, and while its user is above the rate of bytes. It refuses messages above the
 * client's rate.
 *
 * @returns a function that resumes reading if nothing prevents it; call it when the client has taken
 *   answers
 */
export function readMessages(webSocket: WebSocket, options: MessageReaderOptions): () => void {
  const { gateway, connection, session, member, messagesPerSecondMax, backlog } = options;
  const { messageBytes } = gateway;
  const { clock, userWork } = gateway.core;
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
  let resting = false;
  let cancelRest = (): void => {};
  const hasRoom = (): boolean => {
    return waitingBytes < (backlog.bytes < BACKLOG_BYTES_MAX ? WAITING_BYTES_MAX : 1);
  };
  const resumeReading = (): void => {
    takesAnswers = connection.sink.unsentBytes < UNSENT_BYTES_MAX;
    if (takesAnswers && !resting && hasRoom()) webSocket.resume();
  };
  /** Reads nothing for as long as the user's bytes ask for. */
  const rest = (ms: number): void => {
    if (resting) return;
    resting = true;
    gateway.limits.hit('message_bytes_per_second');
    webSocket.pause();
    cancelRest = clock.after(ms, () => {
      resting = false;
      resumeReading();
    });
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
    backlog.bytes += length;
    if (!hasRoom()) webSocket.pause();
    const restMs = messageBytes.takeMessage(connection.flow.user, length, clock.nowMs());
    if (restMs > 0) rest(restMs);
    userWork.enqueue(() => {
      waitingBytes -= length;
      backlog.bytes -= length;
      answer(() => {
        if (verdict === 'refused') session.refuseTooFast(text, messagesPerSecondMax);
        else if (isBinary) session.refuseBinary();
        else session.receive(text);
      });
      if (webSocket.isPaused) resumeReading();
    }, connection.flow);
  });
  webSocket.on('ping', (bytes: Buffer) => {
    if (countMessage() === 'accepted') answer(() => webSocket.pong(bytes));
  });
  webSocket.on('pong', countMessage);
  webSocket.on('close', () => cancelRest());
  return resumeReading;
}
