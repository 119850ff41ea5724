import { createConnection, type Socket } from 'node:net';

const END_OF_HEAD = '\r\n\r\n';
const LAST_CHUNK = '\r\n0\r\n\r\n';

export interface HttpAnswer {
  readonly status: number;
  /** With its chunks' lengths where it comes in chunks. */
  readonly body: string;
}

/**
 * One kept connection with one request at a time. Node's own client takes several times as long for a
 * request, and would measure itself.
 */
export class HttpConnection {
  readonly #socket: Socket;
  #text = '';
  #answered: ((answer: HttpAnswer) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#read(text));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('The server closed the connection.')));
  }

  static open(host: string, port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new HttpConnection(socket));
      });
    });
  }

  /**
   * @param request in Latin-1
   * @throws Error where the connection breaks before the answer is complete
   */
  send(request: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new Error('The connection is closed.'));
        return;
      }
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(request, 'latin1');
    });
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#text = this.#text === '' ? text : this.#text + text;
    const answer = parseAnswer(this.#text);
    if (!answer) return;
    this.#text = '';
    this.#failed = undefined;
    this.#answered?.(answer);
  }

  #fail(error: Error): void {
    this.#closed = true;
    this.#failed?.(error);
    this.#failed = undefined;
  }
}

/** @returns `undefined` while a part of it is missing */
export function parseAnswer(text: string): HttpAnswer | undefined {
  const bodyAt = text.indexOf(END_OF_HEAD) + END_OF_HEAD.length;
  if (bodyAt < END_OF_HEAD.length) return undefined;
  const head = text.slice(0, bodyAt);
  const status = Number(head.slice(9, 12));
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  const isComplete =
    length === undefined
      ? // The empty line before it ends the head, where the body has no chunk.
        text.startsWith(LAST_CHUNK, text.length - LAST_CHUNK.length) || status === 204
      : text.length - bodyAt >= Number(length);
  return isComplete ? { status, body: text.slice(bodyAt) } : undefined;
}
