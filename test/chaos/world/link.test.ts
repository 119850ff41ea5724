import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../support/until.ts';
import { Link } from './link.ts';

const QUIET_MS = 100;

let server: Server;
let link: Link;
let client: Socket;
/** What arrived, by side. */
let atServer = '';
let atClient = '';
let accepted: Socket;

beforeEach(async () => {
  atServer = '';
  atClient = '';
  server = createServer((socket) => {
    accepted = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      atServer += bytes;
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  link = await Link.open('test', (server.address() as AddressInfo).port);
  client = await open();
  client.write('a');
  await until(() => atServer === 'a');
});
afterEach(() => {
  link.close();
  server.close();
});

async function open(): Promise<Socket> {
  const socket = connect(link.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    atClient += bytes;
  });
  await once(socket, 'connect');
  return socket;
}

async function exchange(): Promise<void> {
  client.write('b');
  accepted.write('c');
  await sleep(QUIET_MS);
}

test('link: open: passes both ways', async () => {
  await exchange();
  expect([atServer, atClient]).toEqual(['ab', 'c']);
});

test.each([
  ['silent', 'a', ''],
  ['deaf', 'ab', ''],
  ['mute', 'a', 'c'],
] as const)(
  'link: %s: the connection stays, and what waited passes afterwards',
  async (state, toServer, toClient) => {
    link.set(state);
    await exchange();
    expect([atServer, atClient]).toEqual([toServer, toClient]);
    link.set('open');
    await until(() => atServer === 'ab' && atClient === 'c');
  },
);

test('link: cut: connections end, and new ones too', async () => {
  const closed = once(client, 'close');
  link.set('cut');
  await closed;
  const other = connect(link.port, '127.0.0.1').on('error', () => {});
  await new Promise((resolve) => other.once('close', resolve));
});

test('link: a side ends right after its last bytes: they still pass', async () => {
  link.delay(QUIET_MS / 2);
  accepted.end('last');
  await new Promise((resolve) => client.once('close', resolve));
  expect(atClient).toBe('last');
});

test('link: a delay ends: nothing overtakes what is on its way', async () => {
  link.delay(QUIET_MS);
  client.write('b');
  await sleep(QUIET_MS / 2);
  link.delay(0);
  client.write('c');
  await until(() => atServer.length === 3);
  expect(atServer).toBe('abc');
});

test('link: delayed: passes later', async () => {
  link.delay(2 * QUIET_MS);
  await exchange();
  expect([atServer, atClient]).toEqual(['a', '']);
  await until(() => atServer === 'ab' && atClient === 'c');
});
