import { Socket } from 'node:net';

/**
 * Parts of Node's sockets that are not in its types: the connection of the operating system, with the bytes that it has
 * yet to take, and the server that counts the socket.
 */
interface Inner {
  _handle?: { readonly writeQueueSize: number } | null;
  _server?: unknown;
}

/** Bytes that a peer may send on a socket that reads nothing, with those of its request: 80 KiB of these are possible. */
const RECEIVED_BYTES_MAX = 128 * 1024;

const heirs = new WeakMap<Socket, Socket>();

/**
 * Takes a connection out of HTTP, for an answer that lasts. The connection goes on in a socket of its own. The former
 * socket closes like one whose peer has gone, so that Node gives up parser, request and answer, which together
 * hold 14 KB. What the peer still sends is not read, and too much of it ends the connection.
 *
 * @param socket has no bytes to send
 * @returns the same socket where Node has no such parts, or the kernel has not taken everything yet
 */
export function takeFromHttp(socket: Socket): Socket {
  const inner = socket as Inner;
  const { _handle: handle } = inner;
  if (socket.destroyed || socket.writableLength > 0 || handle?.writeQueueSize !== 0) return socket;
  // `handle` is not among the documented options.
  const options = { handle, highWaterMark: socket.writableHighWaterMark };
  const heir = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  heirs.set(socket, heir);
  (heir as Inner)._server = inner._server;
  inner._server = null;
  inner._handle = null;
  socket.destroy();
  heir.on('error', ignore).on('data', dropBytes);
  return heir;
}

/** The socket that has taken over a connection from one that has closed. */
export function heirOf(socket: Socket): Socket | undefined {
  return heirs.get(socket);
}

/** An error closes the socket; without a listener it would end the process. */
function ignore(): void {}

function dropBytes(this: Socket): void {
  if (this.bytesRead > RECEIVED_BYTES_MAX) this.destroy();
}
