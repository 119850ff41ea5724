import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Limits } from '@tidemark/http';
import { Metrics } from '@tidemark/telemetry';
import { describe, expect, test } from 'vitest';
import { AccessLookups } from './access-lookups.ts';

const REQUESTS_MAX = 64;

/** Lookups whose requests end one by one, when they are told to. */
function setUp() {
  const lookups = new AccessLookups(new Limits(new Metrics('test', { defaults: false })));
  const asked: string[] = [];
  const open: (() => void)[] = [];
  const run = (name: string, socket = fakeSocket()) =>
    lookups.run({ name, socket }, async () => {
      asked.push(name);
      await new Promise<void>((resolve) => open.push(resolve));
    });
  const endOne = async () => {
    open.shift()?.();
    await nextTurn();
  };
  return { run, asked, endOne };
}

function fakeSocket(): Socket {
  return Object.assign(new EventEmitter(), { destroyed: false }) as unknown as Socket;
}

describe('access lookups', () => {
  test('an address with hundreds of wrong tickets: another one is next', async () => {
    const { run, asked, endOne } = setUp();
    for (let n = 0; n < 500; n++) run('flood').catch(() => {});
    run('other').catch(() => {});
    await nextTurn();
    expect(asked).toHaveLength(REQUESTS_MAX);
    // The flood is served until its quantum of 10 ms is over, and these take next to no time.
    for (let n = 0; n < 300 && !asked.includes('other'); n++) await endOne();
    expect(asked).toContain('other');
  });

  test('more than may wait: refused; somebody who has none is not', async () => {
    const { run } = setUp();
    const results = Array.from({ length: 1500 }, () => run('flood').catch((error) => error));
    expect(await results.at(-1)).toMatchObject({ code: 'limit_exceeded' });
    const other = run('other');
    expect(await Promise.race([other, nextTurn('waits')])).toBe('waits');
  });

  test('the client is gone: it waits no longer, and nothing is asked for it', async () => {
    const { run, asked, endOne } = setUp();
    for (let n = 0; n < REQUESTS_MAX; n++) run('flood').catch(() => {});
    const socket = fakeSocket();
    const gone = run('gone', socket);
    socket.emit('close');
    await expect(gone).rejects.toMatchObject({ code: 'unavailable' });
    await endOne();
    expect(asked).not.toContain('gone');
    expect(socket.listenerCount('close')).toBe(0);
  });
});
