import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseCursor } from '@tidemark/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { erase } from '../support/erasures.ts';
import { makeToken, type Service } from '../support/services.ts';
import {
  numbered,
  type System,
  series,
  startSystem,
  storeArchived,
  streamState,
} from '../support/system.ts';
import { InboxUser, publishItem } from './inbox-setup.ts';
import { ask, askPage, untilProjected } from './replay-setup.ts';

/* The rebuild of an archive (PROTOCOL.md section 13.4), while a part of the log is in the archive alone. */

const COMMAND = fileURLToPath(new URL('../../infra/replay/rebuild.mjs', import.meta.url));
const STREAM_BYTES = 1_000_000;

let system: System;
beforeEach(async () => {
  system = await startSystem({ env: { TIDEMARK_STREAM_MAX_BYTES: String(STREAM_BYTES) } });
});
afterEach(() => system?.stop());

interface Status {
  readonly state: string;
  readonly done: number;
  readonly total: number;
  readonly unreadable: number;
  readonly code?: string;
  readonly reason?: string;
}

async function call(
  replay: Service,
  method: string,
  scope = 'admin',
): Promise<Status & { readonly status: number }> {
  const response = await fetch(`${replay.url}/v1/admin/rebuild`, {
    method,
    headers: { authorization: `Bearer ${await makeToken(scope, 'operator')}` },
  });
  return { status: response.status, ...((await response.json()) as Status) };
}

/** Runs the command. @returns its exit code, and what it printed */
async function rebuild(replay: Service, scope = 'admin'): Promise<{ code: number; out: string }> {
  const child = spawn(process.execPath, [COMMAND, '--url', replay.url], {
    env: { ...process.env, TIDEMARK_TOKEN: await makeToken(scope, 'operator') },
  });
  const [out, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, out: out + errors };
}

/** Publishes some thousand events, so that the first have left the stream. @returns the last cursor */
async function fill(): Promise<string> {
  for (let n = 1; n <= 4000; n += 500) {
    await storeArchived(system, series(`orders.${n % 3}.x`, n, n + 499));
  }
  const stored = await storeArchived(system, [numbered('last', 1)]);
  return stored.at(-1)?.cursor ?? '';
}

const QUESTIONS = [
  '/v1/events?limit=1000',
  '/v1/events?order=desc&limit=1000',
  '/v1/events?topics=orders.*.x&types=orders.1.x&limit=1000',
  '/v1/events?after=last&topics=>&limit=1000',
  '/v1/topics?limit=1000',
  '/v1/head?topics=orders.>',
];

/** The answers to everything that can be asked, all pages of each. */
async function answers(replay: Service): Promise<string[]> {
  const all: string[] = [];
  for (const question of QUESTIONS) {
    const lines = await ask(replay, question.replace('&limit=1000', ''), {
      accept: question.includes('events') ? 'application/x-ndjson' : 'application/json',
    });
    all.push(`${question} ${lines.status} ${lines.text}`);
    all.push((await ask(replay, question)).text);
  }
  return all;
}

describe('rebuild', () => {
  test('events, erasures, expired events and inboxes: the same answers from another file', async () => {
    const { replay } = system;
    const device = new InboxUser(replay, 'alice');
    await device.change('follow', 'news.>');
    const [, old] = await storeArchived(system, series('orders.9.x', 1, 3));
    await storeArchived(system, series('gone', 1, 20));
    const expires = new Date(Date.now() + 2000).toISOString();
    await storeArchived(system, [{ ...numbered('orders.9.x', 4), expires }]);
    await fill();
    const item = await publishItem(system, 'news.first');
    await device.mark('seen', { upTo: item });
    const late = await storeArchived(system, series('orders.8.x', 1, 3));
    expect(await erase(replay, { topic: 'gone' })).toMatchObject({ events: 20, complete: true });
    const erasure = await erase(replay, { cursor: old?.cursor });
    expect(erasure).toMatchObject({ events: 1, complete: true });
    await erase(replay, { cursor: late[1]?.cursor });
    await new Promise((resolve) => setTimeout(resolve, 2100));
    await untilProjected(replay, (await streamState(system.nats.url)).last);
    const status = async (cursor: string | null) => {
      return (await ask(replay, `/v1/admin/erasures/${cursor}`, { scope: 'admin' })).text;
    };
    const inbox = async () => JSON.stringify([await device.page(), await device.counts()]);
    const before = [...(await answers(replay)), await inbox(), await status(erasure.cursor)];
    expect((await streamState(system.nats.url)).first).toBeGreaterThan(100);

    expect(await call(replay, 'GET')).toMatchObject({ status: 404 });
    const { code, out } = await rebuild(replay);
    expect(out).toMatch(/The archive is rebuilt: \d+ events/);
    expect(code).toBe(0);
    expect(await call(replay, 'GET')).toMatchObject({ status: 200, state: 'complete' });

    const after = [...(await answers(replay)), await inbox(), await status(erasure.cursor)];
    expect(after).toEqual(before);
    expect(existsSync(`${replay.database}.rebuilding`)).toBe(false);
    // It goes on with the new file, also after a restart.
    const [next] = await storeArchived(system, [numbered('orders.9.x', 9)]);
    const page = await askPage(replay, `/v1/events?topics=orders.9.x&order=desc&limit=1`);
    expect(page.items[0]?.cursor).toBe(next?.cursor);
  }, 60_000);

  test('events and readers all the time: nobody notices', async () => {
    const { replay } = system;
    await fill();
    let going = true;
    const published: string[] = [];
    const writing = (async () => {
      for (let n = 1; going; n += 20) {
        const stored = await storeArchived(system, series('orders.7.x', n, n + 19));
        published.push(...stored.map(({ cursor }) => cursor));
      }
    })();
    const counts: number[] = [];
    const reading = [1, 2, 3].map(async () => {
      while (going) {
        const { status, text: lines } = await ask(replay, '/v1/events?topics=orders.0.x', {
          accept: 'application/x-ndjson',
        });
        expect(status).toBe(200);
        counts.push(lines.split('\n').length);
        expect(lines).toContain('"complete":true');
      }
    });
    for (let times = 0; times < 3; times++)
      expect(await rebuild(replay)).toMatchObject({ code: 0 });
    going = false;
    await Promise.all([writing, ...reading]);
    expect(new Set(counts).size).toBe(1);
    expect(published.length).toBeGreaterThan(100);
    const last = parseCursor(published.at(-1) ?? '').sequence;
    await untilProjected(replay, last);
    const { text: lines } = await ask(replay, '/v1/events?topics=orders.7.x', {
      accept: 'application/x-ndjson',
    });
    const found = [...lines.matchAll(/"cursor":"([^"]+)","event"/g)].map(([, cursor]) => cursor);
    expect(found).toEqual(published);
  }, 90_000);

  test('killed at any moment: one of the two files is there, whole', async () => {
    await fill();
    await untilProjected(system.replay, (await streamState(system.nats.url)).last);
    const before = await answers(system.replay);
    for (const waitMs of [0, 20, 60, 120, 200, 300, 400]) {
      expect(await call(system.replay, 'POST')).toMatchObject({ status: 202, state: 'running' });
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await system.replay.kill('SIGKILL');
      await system.replay.restart();
      expect(await answers(system.replay)).toEqual(before);
      const folder = readdirSync(dirname(system.replay.database));
      expect(folder.filter((name) => name.includes('rebuilding'))).toEqual([]);
    }
  }, 90_000);

  test('one at a time, cancelled, without the scope: nothing changes', async () => {
    const { replay } = system;
    await fill();
    await untilProjected(replay, (await streamState(system.nats.url)).last);
    const before = await answers(replay);
    expect(await call(replay, 'POST', 'history:>')).toMatchObject({ status: 403 });
    expect(await call(replay, 'POST')).toMatchObject({ status: 202 });
    expect(await call(replay, 'POST')).toMatchObject({ status: 409, code: 'conflict' });
    expect(await call(replay, 'DELETE')).toMatchObject({ status: 200, state: 'cancelled' });
    expect(existsSync(`${replay.database}.rebuilding`)).toBe(false);
    expect(await answers(replay)).toEqual(before);
    expect(await rebuild(replay, 'history:>')).toMatchObject({
      code: 1,
      out: expect.stringContaining('answers 403'),
    });
    expect(await rebuild(replay)).toMatchObject({ code: 0 });
    expect(await answers(replay)).toEqual(before);
  }, 60_000);
});
