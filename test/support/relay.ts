import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What the handshake of a WebSocket begins with, and what ends the answer to it. */
const HANDSHAKE = 'GET /v1/ws';
const HEAD_END = '\r\n\r\n';

/** TCP between a client and a service, with faults that leave the service and the client alone. */
export interface Relay {
  readonly url: string;
  /** Connections that are open now. */
  readonly open: number;
  /** Those that are open pass nothing any more, and are not closed either; later ones work. */
  silence(): void;
  /** Ends those that are open. */
  cut(): void;
  /** In the place of each of the next so many answers the connection ends. */
  loseAnswers(count: number): void;
  stop(): Promise<void>;
}

export interface RelayOptions {
  /** Ends each WebSocket right after the first frame that the service sends. */
  readonly cutsAfterFirstFrame?: boolean;
}

export async function startRelay(
  port: number,
  { cutsAfterFirstFrame = false }: RelayOptions = {},
): Promise<Relay> {
  const clients = new Map<Socket, Socket>();
  let losing = 0;
  const server = createServer((client) => {
    const service = connect(port, '127.0.0.1');
    clients.set(client, service);
    const end = () => {
      clients.delete(client);
      client.destroy();
      service.destroy();
    };
    for (const socket of [client, service]) socket.on('close', end).on('error', end);
    service.on('data', () => {
      if (losing === 0) return;
      losing--;
      end();
    });
    client.pipe(service);
    service.pipe(client);
    if (!cutsAfterFirstFrame) return;
    client.once('data', (bytes) => {
      if (!bytes.toString('latin1').startsWith(HANDSHAKE)) return;
      service.unpipe(client);
      passFirstFrame(service, client);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const client of clients.keys()) client.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get open() {
      return clients.size;
    },
    silence() {
      for (const [client, service] of clients) {
        client.unpipe(service).resume();
        service.unpipe(client).resume();
      }
    },
    cut,
    loseAnswers(count) {
      losing = count;
    },
    async stop() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Frames of a server are not masked: two bytes, or four where the second is 126, and the payload. */
function passFirstFrame(service: Socket, client: Socket): void {
  let bytes = Buffer.alloc(0);
  service.on('data', (more: Buffer) => {
    bytes = Buffer.concat([bytes, more]);
    const head = bytes.indexOf(HEAD_END);
    const frame = head + HEAD_END.length;
    if (head < 0 || bytes.length < frame + 4) return;
    const short = bytes.readUInt8(frame + 1);
    const end = short < 126 ? frame + 2 + short : frame + 4 + bytes.readUInt16BE(frame + 2);
    if (bytes.length >= end) client.end(bytes.subarray(0, end));
  });
  service.resume();
}
