import type { Connection } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import type { Gateway } from '../gateway.ts';
import type { ClientSocket } from './client-socket.ts';
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

/** Whose messages are read. */
export interface ReadClient extends Pick<Member, 'lastReceivedMs'> {
  lastReceivedMs: number;
  readonly gateway: Gateway;
  readonly connection: Connection;
  readonly backlog: Backlog;
  readonly messagesPerSecondMax: number;
}

/**
 * Reads a client's messages. It stops while the client takes no answers, while too many of its messages
 * wait to be processed, and while its user is above the rate of bytes. It refuses messages above the
 * client's rate.
 */
export class MessageReader {
  readonly #socket: ClientSocket;
  readonly #client: ReadClient;
  readonly #session: WebSocketSession;
  readonly #rate: MessageRate;
  #waitingBytes = 0;
  #takesAnswers = true;
  /** Set while it reads nothing for as long as the user's bytes ask for. */
  #cancelRest: (() => void) | undefined;
  #partSinceMs: number | undefined;

  constructor(socket: ClientSocket, client: ReadClient, session: WebSocketSession) {
    this.#socket = socket;
    this.#client = client;
    this.#session = session;
    const { clock } = client.gateway.core;
    this.#rate = new MessageRate(client.messagesPerSecondMax, clock.nowMs());
  }

  /**
   * The time of the first call that found a message in several frames arriving, so it has to be called now and then;
   * `undefined` while no message is arriving.
   */
  partSinceMs(): number | undefined {
    if (!this.#socket.isReceivingParts) this.#partSinceMs = undefined;
    else this.#partSinceMs ??= this.#client.gateway.core.clock.nowMs();
    return this.#partSinceMs;
  }

  /** Resumes reading if nothing prevents it; called when the client has taken answers. */
  resume(): void {
    this.#takesAnswers = this.#client.connection.sink.unsentBytes < UNSENT_BYTES_MAX;
    if (this.#takesAnswers && !this.#cancelRest && this.#hasRoom) this.#socket.resume();
  }

  onMessage(bytes: Buffer, isBinary: boolean): void {
    this.#partSinceMs = undefined;
    const verdict = this.#countMessage();
    if (verdict === 'exceeded') return;
    const { gateway, connection, backlog } = this.#client;
    const { clock, userWork } = gateway.core;
    const text = isBinary ? '' : bytes.toString('utf8');
    const { length } = bytes;
    this.#waitingBytes += length;
    backlog.bytes += length;
    if (!this.#hasRoom) this.#socket.pause();
    const { user } = connection.flow;
    const restMs = gateway.messageBytes.takeMessage(user, length, clock.nowMs());
    if (restMs > 0) this.#rest(restMs);
    userWork.enqueue(() => {
      this.#waitingBytes -= length;
      backlog.bytes -= length;
      this.#answer(() => {
        const session = this.#session;
        if (verdict === 'refused') session.refuseTooFast(text, this.#client.messagesPerSecondMax);
        else if (isBinary) session.refuseBinary();
        else session.receive(text);
      });
      if (this.#socket.isPaused) this.resume();
    }, connection.flow);
  }

  onPing(bytes: Buffer): void {
    if (this.#countMessage() === 'accepted') this.#answer(() => this.#socket.pong(bytes));
  }

  onPong(): void {
    this.#countMessage();
  }

  /** Called when the socket has closed. */
  stop(): void {
    this.#cancelRest?.();
  }

  #countMessage(): Verdict {
    const { gateway, connection } = this.#client;
    const nowMs = gateway.core.clock.nowMs();
    this.#client.lastReceivedMs = nowMs;
    const verdict = this.#rate.countMessage(nowMs);
    if (verdict !== 'accepted') gateway.limits.hit('messages_per_second');
    if (verdict === 'exceeded') connection.close('limited', 'Messages came too fast for too long.');
    return verdict;
  }

  get #hasRoom(): boolean {
    const isFull = this.#client.backlog.bytes >= BACKLOG_BYTES_MAX;
    return this.#waitingBytes < (isFull ? 1 : WAITING_BYTES_MAX);
  }

  #rest(ms: number): void {
    if (this.#cancelRest) return;
    const { gateway } = this.#client;
    gateway.limits.hit('message_bytes_per_second');
    this.#socket.pause();
    this.#cancelRest = gateway.core.clock.after(ms, () => {
      this.#cancelRest = undefined;
      this.resume();
    });
  }

  #answer(respond: () => void): void {
    respond();
    const { gateway, connection } = this.#client;
    if (connection.sink.unsentBytes < UNSENT_BYTES_MAX || !this.#takesAnswers) return;
    this.#takesAnswers = false;
    gateway.limits.hit('unsent_answers');
    this.#socket.pause();
  }
}
