import { WebSocket } from 'ws';

/** Hears all that a WebSocket tells. */
export interface SocketListener {
  onMessage(bytes: Buffer, isBinary: boolean): void;
  onPing(bytes: Buffer): void;
  onPong(): void;
  /** A frame is wrong. `ws` closes by itself then. */
  onError(error: Error & { code?: string }): void;
  onClose(code: number): void;
}

/** A part of `ws` that is not in its types: the opcode of the message whose frames are arriving, or 0. */
interface Receiving {
  readonly _receiver?: { readonly _fragmented?: number };
}

/**
 * The WebSocket of a client. One object hears its events: a table of listeners, and a function for each with what it
 * closes over, take more than 1 KB, which a hundred thousand idle connections would hold.
 */
export class ClientSocket extends WebSocket {
  listener: SocketListener | undefined;

  /** Whether a message in several frames is arriving. `ws` has no event for that. */
  get isReceivingParts(): boolean {
    const { _receiver: receiver } = this as unknown as Receiving;
    return Boolean(receiver?._fragmented);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the arguments follow from the event, as for every emitter.
  override emit(event: string | symbol, ...values: any[]): boolean {
    const { listener } = this;
    const [first, second] = values;
    if (!listener) return super.emit(event, ...values);
    if (event === 'message') listener.onMessage(first, second);
    else if (event === 'ping') listener.onPing(first);
    else if (event === 'pong') listener.onPong();
    else if (event === 'error') listener.onError(first);
    else if (event === 'close') listener.onClose(first);
    else return super.emit(event, ...values);
    return true;
  }
}
