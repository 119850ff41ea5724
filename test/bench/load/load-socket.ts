import { createConnection, type Socket } from 'node:net';
import type { Listener, WireReader } from './wire-reader.ts';

const TEXT = 0x81;
const BINARY = 0x82;
const PONG = 0x8a;
const MASKED = 0x80;
const LENGTH_16 = 126;
const MASK_BYTES = 4;

/** The bytes of one read, of any socket. They are processed before the next socket is read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);

export interface SocketOptions {
  readonly host: string;
  readonly port: number;
  readonly request: string;
  readonly createReader: (listener: Listener) => WireReader;
  readonly listener: Listener;
  /** Called before the bytes of each read are processed. */
  readonly onRead: () => void;
  readonly onClosed: () => void;
}

/**
 * A raw TCP client. All clients read into the same buffer, because Node passes it on before it reads
 * again. Without a buffer and a stream event for each read, a process with a thousand clients needs less
 * time than the server needs to write to them.
 */
export class LoadSocket {
  readonly #socket: Socket;
  #paused = false;

  constructor({ host, port, request, createReader, listener, onRead, onClosed }: SocketOptions) {
    const reader = createReader(listener);
    this.#socket = createConnection({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (bytes) => {
          onRead();
          reader.read(READ_BUFFER, bytes);
          return !this.#paused;
        },
      },
    });
    this.#socket.write(request);
    this.#socket.on('error', ({ message }) => listener.onFault(message));
    this.#socket.on('close', onClosed);
  }

  /** Stops reading. The kernel's buffers fill up, and then the sender has to wait. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  sendText(text: string): void {
    this.#socket.write(maskedFrame(TEXT, Buffer.from(text)));
  }

  sendBinary(bytes: Buffer): void {
    this.#socket.write(maskedFrame(BINARY, bytes));
  }

  sendPong(): void {
    this.#socket.write(maskedFrame(PONG, Buffer.alloc(0)));
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** A client's frame (RFC 6455 section 5.3) under the mask 0, which leaves the payload as it is. */
function maskedFrame(opcode: number, payload: Buffer): Buffer {
  const short = payload.length < LENGTH_16;
  const header = Buffer.alloc((short ? 2 : 4) + MASK_BYTES);
  header[0] = opcode;
  header[1] = MASKED | (short ? payload.length : LENGTH_16);
  if (!short) header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}
