import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import type { LogLine, Service } from '../support/services.ts';
import { canMount, mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import {
  askLines,
  metric,
  OutsideClient,
  range,
  startReplay,
  until,
  untilProjected,
} from './replay-setup.ts';

/* The disk of the archive is full, for real. */

const TEN_KB = 'x'.repeat(10_000);
const LEFT_BYTES = 300_000;
const TEST_TIMEOUT_MS = 60_000;

let nats: NatsServer;
let client: OutsideClient;
let disk: SmallDisk | undefined;
let replay: Service | undefined;

beforeEach(async () => {
  nats = await startNatsServer();
  client = await OutsideClient.connect(nats.url);
});
afterEach(async () => {
  await replay?.stop();
  await disk?.remove();
  await client.close();
  await nats.stop();
});

async function readiness(service: Service) {
  const response = await fetch(`${service.url}/readyz`);
  return { status: response.status, body: await response.json() };
}

function lines(service: Service, message: string): LogLine[] {
  return service.logs.filter(({ msg }) => String(msg).startsWith(message));
}

test.skipIf(!canMount())(
  'the disk of the archive is full: not ready, logged once; freed: complete and ready by itself',
  async () => {
    disk = await mountSmallDisk(16);
    replay = await startReplay(nats.url, {
      TIDEMARK_REPLAY_DATABASE: join(disk.folder, 'archive.db'),
    });
    const service = replay;
    const describe = (number: number) => ({ topic: `full.${number % 3}`, text: TEN_KB });
    await client.publish(range(1, 100), describe);
    await untilProjected(service, 100);
    await disk.fill(LEFT_BYTES);
    await client.publish(range(101, 400), describe);
    await until(async () => (await readiness(service)).status === 503);
    expect((await readiness(service)).body).toMatchObject({
      ready: false,
      checks: { archive: false, revocations: true },
    });
    expect(await metric(service, 'projection_file_fault')).toBe(1);
    // Several repeated writes.
    await new Promise((resolve) => setTimeout(resolve, 7000));
    expect((await readiness(service)).status).toBe(503);
    expect(lines(service, 'the archive cannot be written')).toHaveLength(1);
    expect(lines(service, 'the archive is written again')).toHaveLength(0);

    await disk.free();
    await untilProjected(service, 400);
    await until(async () => (await readiness(service)).status === 200);
    expect(await metric(service, 'projection_file_fault')).toBe(0);
    expect(lines(service, 'the archive is written again')).toHaveLength(1);
    expect(lines(service, 'the archive cannot be written')).toHaveLength(1);
    const exported = await askLines(service, '/v1/events');
    expect(exported.at(-1)).toMatchObject({ complete: true });
    expect(exported).toHaveLength(401);
  },
  TEST_TIMEOUT_MS,
);
