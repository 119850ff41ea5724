import type { LogBounds, Position } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import type { ArchiveStore } from '../archive/archive-store.ts';
import { Progress } from '../projector/progress.ts';
import { waitForAtLeast } from './at-least.ts';

const WAIT_MS = 300;

/** An archive that follows the log from epoch `e.1`, in which the log had kept up to 5, to `e.2`. */
function createArchive(stream: LogBounds) {
  let bounds: LogBounds = { epoch: 'e.1', firstSequence: 1, lastSequence: 5 };
  const progress = new Progress();
  progress.setSequence(5);
  const store = { snapshot: () => ({ bounds }) } as unknown as ArchiveStore;
  const options = { store, progress, readBounds: async () => stream, atLeastWaitMs: WAIT_MS };
  return {
    become(next: LogBounds) {
      bounds = next;
      progress.setSequence(next.lastSequence);
    },
    wait: (atLeast: Position, signal = new AbortController().signal) =>
      waitForAtLeast(atLeast, { signal }, options),
  };
}

const NEXT: LogBounds = {
  epoch: 'e.2',
  earlier: [{ epoch: 'e.1', through: 5 }],
  firstSequence: 1,
  lastSequence: 9,
};

test('an event of an epoch that the archive has yet to enter: waits until it has', async () => {
  const archive = createArchive(NEXT);
  const waiting = archive.wait({ epoch: 'e.2', sequence: 8 });
  setTimeout(() => archive.become({ ...NEXT, lastSequence: 8 }), 50);
  await waiting;
});

test('an event that the log has lost, and one of another log: at once an error', async () => {
  const archive = createArchive(NEXT);
  archive.become(NEXT);
  await archive.wait({ epoch: 'e.1', sequence: 5 });
  for (const lost of [
    { epoch: 'e.1', sequence: 6 },
    { epoch: 'f', sequence: 1 },
  ]) {
    await expect(archive.wait(lost)).rejects.toMatchObject({ code: 'invalid_cursor' });
  }
});

test('in time or not: unavailable after the wait, and at once when nobody waits any more', async () => {
  const archive = createArchive({ epoch: 'e.1', firstSequence: 1, lastSequence: 5 });
  const startMs = performance.now();
  const refused = { code: 'unavailable', details: { retryAfterSeconds: 1 } };
  await expect(archive.wait({ epoch: 'e.1', sequence: 6 })).rejects.toMatchObject(refused);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(WAIT_MS - 1);
  await expect(
    archive.wait({ epoch: 'e.1', sequence: 6 }, AbortSignal.abort()),
  ).rejects.toMatchObject(refused);
  const waiting = archive.wait({ epoch: 'e.1', sequence: 6 });
  archive.become({ epoch: 'e.1', firstSequence: 1, lastSequence: 6 });
  await waiting;
});
