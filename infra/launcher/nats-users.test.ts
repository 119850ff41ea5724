import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startNatsServer } from '../../test/support/nats-server.ts';
import { adoptStreams, createNatsUsers, operatorFile, refuseStreams } from './nats-users.mjs';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-users-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('operator: the password stays, in a file for the owner alone; those of services are new', () => {
  const [first, second] = [createNatsUsers(folder), createNatsUsers(folder)];
  const operator = 'TIDEMARK_NATS_OPERATOR_PASSWORD';
  expect(second.server[operator]).toBe(first.server[operator]);
  expect(second.server.TIDEMARK_NATS_INGEST_PASSWORD).not.toBe(
    first.server.TIDEMARK_NATS_INGEST_PASSWORD,
  );
  expect(statSync(operatorFile(folder)).mode & 0o777).toBe(0o600);
});

test('streams of a server without accounts: are there in the account of the streams', async () => {
  const storeFolder = join(folder, 'store');
  const nats = await startNatsServer({ storeFolder });
  const store = async () => {
    const connection = await connect({ servers: nats.url });
    const manager = await jetstreamManager(connection);
    return { connection, manager };
  };
  const { connection, manager } = await store();
  await manager.streams.add({ name: 'TIDEMARK_EVENTS', subjects: ['tidemark.events.>'] });
  await jetstream(connection).publish('tidemark.events.a', '{}');
  await connection.close();
  await nats.kill('SIGTERM');
  // As the server of an earlier version has left it.
  renameSync(join(storeFolder, 'jetstream', 'TIDEMARK'), join(storeFolder, 'jetstream', '$G'));
  expect(() => refuseStreams(storeFolder, folder)).toThrow('earlier version');
  adoptStreams(storeFolder);
  await nats.restart();
  const again = await store();
  const { state } = await again.manager.streams.info('TIDEMARK_EVENTS');
  expect(state.last_seq).toBe(1);
  const { seq } = await jetstream(again.connection).publish('tidemark.events.a', '{}');
  expect(seq).toBe(2);
  await again.connection.close();
  await nats.stop();
});

test('streams in the account already: stay, whatever else is there', () => {
  const base = join(folder, 'jetstream');
  for (const account of ['$G', 'TIDEMARK']) mkdirSync(join(base, account), { recursive: true });
  adoptStreams(folder);
  expect(() => refuseStreams(folder, folder)).not.toThrow();
  expect(statSync(join(base, '$G')).isDirectory()).toBe(true);
});
