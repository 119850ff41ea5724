import { expect, test, vi } from 'vitest';
import { RestingScheduler } from './resting-scheduler.ts';

test('a backlog that asks while it rests: runs again', async () => {
  const events = { onSlice: () => {}, onError: (error: unknown) => expect(error).toBeUndefined() };
  const scheduler = new RestingScheduler(new AbortController().signal, events);
  let runs = 0;
  const backlog = {
    run() {
      runs++;
      const endMs = performance.now() + 5;
      while (performance.now() < endMs);
      // It comes in the rest after this slice.
      if (runs < 3) setImmediate(() => scheduler.schedule(backlog));
      return false;
    },
  };
  scheduler.schedule(backlog);
  await vi.waitFor(() => expect(runs).toBe(3));
});
