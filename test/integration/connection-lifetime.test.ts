import { afterEach, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import { numbered, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

const TOPIC = 'lives';

let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
});

describe('longest life of a connection', () => {
  test('ten clients over each transport: away and back between 80 and 100 % of it, in no step', async () => {
    const env = {
      TIDEMARK_GATEWAY_CONNECTION_SECONDS_MAX: '4',
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '200',
    };
    system = await startSystem({ gateways: 2, env });
    const { listen, publisher } = system;
    const begunMs = performance.now();
    const lives: number[] = [];
    const listeners = TRANSPORTS.flatMap((transport) =>
      Array.from({ length: 10 }, () => listen(transport, { topics: TOPIC })),
    );
    for (const listener of listeners) await until(() => listener.live);
    const pending = new Set(listeners);
    await until(() => {
      for (const one of pending) {
        if (!one.received.some(({ type }) => type === 'closed')) continue;
        pending.delete(one);
        lives.push(performance.now() - begunMs);
      }
      return pending.size === 0;
    });
    expect(Math.min(...lives)).toBeGreaterThan(3100);
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(200);
    for (const listener of listeners) await until(() => listener.live);
    await publisher.store(numbered(TOPIC, 1));
    for (const listener of listeners) {
      await untilEvents(listener, 1);
      expect(listener.gaps).toEqual([]);
      const closed = listener.received.find(({ type }) => type === 'closed');
      if (listener.transport === 'websocket') expect(closed).toMatchObject({ code: 4000 });
    }
  });
});
