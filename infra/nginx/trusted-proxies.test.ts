import { type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HAS_NGINX, HEARTBEAT_MS, type Nginx, startNginx } from '../../test/support/nginx.ts';
import { limitHits, makeToken } from '../../test/support/services.ts';
import { type System, startSystem } from '../../test/support/system.ts';

/*
 * Whom limits count behind a real nginx with the configuration that is shipped: clients have loopback
 * addresses of their own, which Linux has without being asked, and nginx speaks from 127.0.0.1.
 */

const PER_ADDRESS = 2;
const CAN_RUN = HAS_NGINX && process.platform === 'linux';

interface Client {
  readonly from: string;
  readonly forwarded?: string;
  readonly path?: string;
}

describe.skipIf(!CAN_RUN)('trusted proxies (needs nginx and Linux)', () => {
  let system: System;
  let proxy: Nginx;
  const sockets: Duplex[] = [];

  beforeAll(async () => {
    system = await startSystem({
      env: {
        // Below the proxy's timeout, so that it cuts none of the connections.
        TIDEMARK_GATEWAY_HEARTBEAT_MS: HEARTBEAT_MS,
        TIDEMARK_TRUSTED_PROXIES: '127.0.0.1',
        TIDEMARK_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX: String(PER_ADDRESS),
      },
    });
    proxy = await startNginx(system);
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await proxy?.stop();
    await system?.stop();
  });

  /** The status that a handshake is answered with; what is accepted stays open. */
  async function shake(base: string, { from, forwarded, path = '/v1/ws' }: Client) {
    const headers = {
      Authorization: `Bearer ${await makeToken('subscribe:a')}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol': 'tidemark.v1',
      ...(forwarded !== undefined && { 'X-Forwarded-For': forwarded }),
    };
    return new Promise<number | undefined>((resolve, reject) => {
      const sent = request(`${base}${path}`, { localAddress: from, headers });
      sent.on('error', reject);
      sent.on('upgrade', ({ statusCode }: IncomingMessage, socket: Duplex) => {
        sockets.push(socket.on('error', () => {}));
        resolve(statusCode);
      });
      sent.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.end();
    });
  }

  test("through the proxy: the client's address counts, whatever it says itself", async () => {
    const client = { from: '127.0.0.2' };
    for (let n = 0; n < PER_ADDRESS; n++) expect(await shake(proxy.url, client)).toBe(101);
    expect(await shake(proxy.url, client)).toBe(429);
    for (const forwarded of ['203.0.113.1', '127.0.0.1', '203.0.113.2, 127.0.0.1', 'rubbish', '']) {
      expect([forwarded, await shake(proxy.url, { ...client, forwarded })]).toEqual([
        forwarded,
        429,
      ]);
    }
    expect(await shake(proxy.url, { from: '127.0.0.3' })).toBe(101);
    expect(await limitHits(system.gateway, 'connections_per_address')).toBe(6);
  });

  test('past the proxy: the address of the socket counts, and no header does', async () => {
    const forwarded = () => `203.0.113.${sockets.length + 1}`;
    for (let n = 0; n < PER_ADDRESS; n++) {
      const client = { from: '127.0.0.4', forwarded: forwarded() };
      expect(await shake(system.gateway.url, client)).toBe(101);
    }
    expect(await shake(system.gateway.url, { from: '127.0.0.4', forwarded: forwarded() })).toBe(
      429,
    );
  });
});
