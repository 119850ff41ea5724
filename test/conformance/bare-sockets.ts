import { request } from 'node:http';
import type { Socket } from 'node:net';
import type { Service } from '../support/services.ts';

const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol': 'tidemark.v1',
};

/** The answer to an upgrade that is refused. */
export function refusedUpgrade({ url }: Service, path: string, headers: Record<string, string>) {
  return new Promise<{ status: number | undefined; body: unknown }>((resolve, reject) => {
    const sent = request(`${url}${path}`, { headers: { ...UPGRADE, ...headers } });
    sent.on('error', reject);
    sent.on('upgrade', () => reject(new Error('The upgrade was accepted.')));
    sent.on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      const json = response.headers['content-type']?.startsWith('application/json');
      resolve({ status: response.statusCode, body: json ? JSON.parse(text) : text });
    });
    sent.end();
  });
}

/** The bare socket of a WebSocket connection, for frames that no client would send. */
export function openBareSocket(
  { url }: Service,
  token: string,
  more: Record<string, string> = {},
): Promise<Socket> {
  const headers = { ...UPGRADE, Authorization: `Bearer ${token}`, ...more };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/v1/ws`, { headers });
    sent.on('error', reject);
    sent.on('response', ({ statusCode }) => reject(new Error(`refused with ${statusCode}`)));
    sent.on('upgrade', (_response, socket) => {
      socket.on('error', () => {});
      resolve(socket as Socket);
    });
    sent.end();
  });
}

/** A frame of a client whose first byte holds whatever flags and opcode. */
export function maskedFrame(first: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** The code of the close frame that comes, which ends what the server sends. */
export function closeCode(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
    });
    socket.on('close', () => resolve(bytes.readUInt16BE(bytes.lastIndexOf(0x88) + 2)));
  });
}
