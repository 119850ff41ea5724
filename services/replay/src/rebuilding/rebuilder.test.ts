import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, Metrics } from '@tidemark/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ArchiveStore } from '../archive/archive-store.ts';
import type { OpenFeed } from './rebuild.ts';
import { Rebuilder, type RebuilderOptions } from './rebuilder.ts';

const logger = createLogger('test', 'silent');
const silentFeed: OpenFeed = () => ({ start() {}, stop() {}, restart() {} });

let folder: string;
let store: ArchiveStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-rebuilder-'));
  store = new ArchiveStore(join(folder, 'archive.db'), logger);
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function create(options: Partial<RebuilderOptions> = {}): Rebuilder {
  const metrics = new Metrics('test', { defaults: false });
  const onExchanged = () => {};
  return new Rebuilder({ store, logger, metrics, openFeed: silentFeed, onExchanged, ...options });
}

test('a disk without room: refused, and nothing has begun', async () => {
  await store.alignWith({ epoch: 'e', firstSequence: 1, lastSequence: 0 });
  const before = readdirSync(folder);
  const rebuilder = create({ freeBytes: () => 1024 });
  expect(() => rebuilder.begin()).toThrow(
    expect.objectContaining({
      code: 'unavailable',
      message: expect.stringContaining('1 MB are free'),
    }),
  );
  expect(() => rebuilder.status).toThrow(expect.objectContaining({ code: 'not_found' }));
  expect(readdirSync(folder)).toEqual(before);
});

test('an archive that has not begun: unavailable', () => {
  expect(() => create().begin()).toThrow(expect.objectContaining({ code: 'unavailable' }));
});

test('a second one, and a service that stops: conflict; no file is left', async () => {
  await store.alignWith({ epoch: 'e', firstSequence: 1, lastSequence: 0 });
  const rebuilder = create();
  expect(rebuilder.begin().state).toBe('running');
  expect(() => rebuilder.begin()).toThrow(expect.objectContaining({ code: 'conflict' }));
  await rebuilder.stop();
  expect(rebuilder.status).toMatchObject({ state: 'cancelled', reason: 'The service stops.' });
  expect(readdirSync(folder).filter((name) => name.includes('rebuilding'))).toEqual([]);
});
