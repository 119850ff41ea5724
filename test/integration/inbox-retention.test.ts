import { rm } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import {
  metric,
  numbered,
  type System,
  startSystem,
  storeArchived,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { InboxUser, publishItem } from './inbox-setup.ts';

/* What retention of the stream means for inboxes: nothing. */

const STREAM_BYTES = 300_000;

let system: System | undefined;
afterEach(() => system?.stop());

function start(keepSeconds: number): Promise<System> {
  return startSystem({
    env: {
      TIDEMARK_STREAM_MAX_BYTES: String(STREAM_BYTES),
      TIDEMARK_REPLAY_INBOX_KEEP_SECONDS: String(keepSeconds),
      // The archive that is lost is not waited for.
      TIDEMARK_ARCHIVE_ABSENCE_SECONDS: '1',
    },
  });
}

/** Stores events that the archive takes, until the stream has dropped what lies up to a sequence. */
async function passSequence(on: System, sequence: number): Promise<void> {
  for (let n = 1; (await streamState(on.nats.url)).first <= sequence; n += 100) {
    await storeArchived(
      on,
      Array.from({ length: 100 }, (_, i) => numbered('noise', n + i)),
    );
  }
}

test('the state of an inbox has left the stream: it is read and changed all the same', async () => {
  system = await start(3600);
  const device = new InboxUser(system.replay, 'alice');
  await device.change('follow', 'news.>');
  const item = await publishItem(system, 'news.first');
  await device.counts(`?atLeast=${item}`);
  await device.mark('read', { upTo: item });
  await passSequence(system, (await streamState(system.nats.url)).last);
  const second = await publishItem(system, 'news.second');
  expect(await device.page(`?atLeast=${second}`)).toMatchObject({
    ...{ unread: 1, items: [{ cursor: second }, { cursor: item, state: { read: true } }] },
  });
  expect(await device.mark('archived', { cursors: [second] })).toMatchObject({
    ...{ unread: 0, changed: expect.any(String) },
  });
  expect((await device.follows()).follows).toMatchObject([{ pattern: 'news.>' }]);
}, 60_000);

test('the stream is about to drop a state: it is stored again, and survives the loss of the archive', async () => {
  system = await start(1);
  const device = new InboxUser(system.replay, 'alice');
  await device.change('follow', 'news.>');
  await device.change('mute', 'news.noise');
  const before = await device.follows();
  // The first state is gone; one that follows it is not.
  await passSequence(system, (await streamState(system.nats.url)).last);
  await until(async () => (await metric(system?.replay ?? failed(), 'inbox_kept_total')) > 0);
  for (let round = 0; round < 3; round++) {
    const { last } = await streamState(system.nats.url);
    for (let n = 1; n < 3; n++) {
      await storeArchived(
        system,
        Array.from({ length: 100 }, (_, i) => numbered('noise', 1000 * round + 100 * n + i)),
      );
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    expect(last).toBeGreaterThan(0);
  }
  await system.replay.kill();
  for (const suffix of ['', '-wal', '-shm']) {
    await rm(`${system.replay.database}${suffix}`, { force: true });
  }
  await system.replay.restart();
  const after = await device.follows();
  expect({ follows: after.follows, mutes: after.mutes }).toEqual({
    ...{ follows: before.follows, mutes: before.mutes },
  });
  const item = await publishItem(system, 'news.after');
  await until(async () => (await device.ask(`/counts?atLeast=${item}`)).status === 200);
  expect(await device.counts()).toMatchObject({ unread: 1 });
}, 90_000);

function failed(): never {
  throw new Error('There is no system.');
}
