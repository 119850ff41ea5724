import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createLogger } from '@tidemark/telemetry';
import { afterEach, expect, test, vi } from 'vitest';
import { NatsLink } from './link.ts';

let server: Server | undefined;
afterEach(() => server?.close());

/** As much of a NATS server as a client needs to connect. */
async function startServer(version: () => string): Promise<string> {
  server = createServer((socket) => {
    const info = { server_id: 'a', version: version(), max_payload: 1024, headers: true, proto: 1 };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (bytes) => {
      if (bytes.includes('PING')) socket.write('PONG\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('server too old: not connected, the log says which and why; a newer one: connected', async () => {
  const logger = createLogger('test', 'silent');
  const warn = vi.spyOn(logger, 'warn');
  let version = '2.11.9';
  const servers = await startServer(() => version);
  const link = new NatsLink({ servers, name: 'test', logger });
  const connecting = link.connect();
  await vi.waitFor(() => expect(warn).toHaveBeenCalled());
  expect(warn.mock.calls[0]?.[0]).toMatchObject({
    reason: 'nats-server 2.11.9 is too old, Tidemark needs 2.12.0 or newer',
  });
  expect(link.connected).toBe(false);
  version = '2.12.0';
  await connecting;
  expect(link.connected).toBe(true);
  await link.close();
});
