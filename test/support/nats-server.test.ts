import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from './nats-server.ts';

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());

test('nats-server: killed and started again: same port, same messages', async () => {
  const { url, version } = server;
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  const connection = await connect({
    servers: url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
  });
  const streams = await jetstreamManager(connection);
  await streams.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
  await jetstream(connection).publish('kept.one', 'stored');
  const reconnected = nextReconnect(connection.status());

  await server.kill('SIGKILL');
  await server.restart();
  await reconnected;

  expect(server.url).toBe(url);
  expect((await streams.streams.info('KEPT')).state.messages).toBe(1);
  await connection.close();
});

test('nats-server: configuration that it refuses: the error shows its log', async () => {
  await expect(startNatsServer({ config: 'no_such_setting: 1' })).rejects.toThrow(
    /no_such_setting/,
  );
});

async function nextReconnect(statuses: AsyncIterable<{ type: string }>): Promise<void> {
  for await (const { type } of statuses) if (type === 'reconnect') return;
}
