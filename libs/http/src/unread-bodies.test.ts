import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Metrics } from '@tidemark/telemetry';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Limits } from './limits.ts';
import { DISCARDED_BYTES_PER_SECOND_MAX, UnreadBodies } from './unread-bodies.ts';

const HALF = DISCARDED_BYTES_PER_SECOND_MAX / 2;

let server: Server;
let client: Socket;
let accepted: Socket;
let answers = '';

/** A server that refuses every request before it reads the body. */
beforeEach(async () => {
  const unread = new UnreadBodies(new Limits(new Metrics('test', { defaults: false })));
  server = createServer(async (request, response) => {
    accepted = request.socket;
    await unread.leave(request, response, '203.0.113.1');
    response.writeHead(403).end('refused');
  }).listen(0);
  await once(server, 'listening');
  client = connect((server.address() as AddressInfo).port);
  answers = '';
  client.on('data', (bytes) => {
    answers += bytes;
  });
  client.on('error', () => {});
});
afterEach(() => {
  client.destroy();
  server.close();
});

function head(bytes: number): string {
  return `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${bytes}\r\n\r\n`;
}

async function send(bytes: number): Promise<void> {
  const answer = once(client, 'data');
  client.write(head(bytes));
  client.write(Buffer.alloc(bytes));
  await answer;
}

describe('unread bodies', () => {
  test('within the rate: discarded, and the connection is used again', async () => {
    await send(HALF);
    await send(1000);
    expect(answers.match(/HTTP\/1.1 403/g)).toHaveLength(2);
    expect(answers).not.toContain('Connection: close');
    expect(accepted.bytesRead).toBeGreaterThan(HALF);
  });

  test('beyond the rate: not read, answered all the same, and the connection ends', async () => {
    await send(2 * DISCARDED_BYTES_PER_SECOND_MAX);
    expect(answers).toContain('HTTP/1.1 403');
    expect(answers).toContain('Connection: close');
    await new Promise((resolve) => client.once('close', resolve));
    expect(accepted.bytesRead).toBeLessThan(HALF);
  });
});
