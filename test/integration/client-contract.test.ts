import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Tidemark } from '@tidemark/client';
import { fakeTidemark } from '@tidemark/client/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Ground, LIMITED_SCOPE, SCENARIOS } from '../support/client-scenarios.ts';
import { makeToken } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* The double of the client library says what the real system says. */

const USER = 'alice';
const SCOPE = 'subscribe:> publish:> history:> inbox:>';

let system: System;
const clients: Tidemark[] = [];

beforeAll(async () => {
  system = await startSystem();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => system.stop());

function open(token: string): Tidemark {
  const { gateway, ingest, replay } = system;
  const urls = { url: gateway.url, ingestUrl: ingest.url, replayUrl: replay.url };
  const client = connect({ ...urls, token });
  clients.push(client);
  return client;
}

async function realGround(topic: string): Promise<Ground> {
  const other = open(await makeToken(SCOPE, 'bob'));
  return {
    ...{ topic, user: USER, until },
    client: open(await makeToken(SCOPE, USER)),
    limited: open(await makeToken(LIMITED_SCOPE, USER)),
    emit: async (event) => (await other.publish(event)).cursor,
    tick: () => sleep(20),
  };
}

function fakeGround(topic: string): Ground {
  const fake = fakeTidemark({ user: USER });
  const limited = fakeTidemark({ user: USER, scope: LIMITED_SCOPE });
  clients.push(fake.client, limited.client);
  return {
    ...{ topic, user: USER },
    client: fake.client,
    limited: limited.client,
    emit: async (event) => fake.emit(event),
    async until(isSo) {
      await fake.settled();
      expect(isSo()).toBe(true);
    },
    tick: () => sleep(20),
  };
}

test.each(SCENARIOS)('client, real and double: $name', async ({ run, expected }) => {
  const topic = `contract${SCENARIOS.findIndex((one) => one.run === run)}`;
  const double = await run(fakeGround(topic));
  const real = await run(await realGround(topic));
  expect(double).toEqual(expected ?? real);
  expect(real).toEqual(expected ?? double);
});
