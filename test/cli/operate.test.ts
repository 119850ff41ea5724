import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { makeToken } from '../support/services.ts';
import { ids, series, startSystem, storeArchived, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';
import { CommandLine } from './command.ts';
import { startHoldingProxy } from './holding-proxy.ts';
import { cli, system, useSystem } from './system-setup.ts';

describe('operating a system', () => {
  useSystem();

  test('erase: asks first, and changes nothing without a yes', async () => {
    const cursor = (await cli.run(['publish', 'erase.it', '1'])).stdout.trim();
    const erase = ['erase', '--cursor', cursor, '--reason', 'a test'];
    expect((await cli.run(erase)).code).toBe(2);
    const asked = cli.start(erase, { columns: 200 });
    await until(() => asked.stdout.includes('[y/N]'), 'the question');
    asked.type('n\r');
    expect(await asked.ended).toBe(1);
    expect(await streamEvents(system.nats.url)).toHaveLength(1);
    const confirmed = cli.start(erase, { columns: 200 });
    await until(() => confirmed.stdout.includes('[y/N]'), 'the question');
    confirmed.type('y\r');
    expect(await confirmed.ended).toBe(0);
    const history = await cli.run(['history', 'erase.it']);
    expect(history.stdout).toBe('');
  });

  test.each([
    ['Ctrl-C', '\u0003', 130],
    ['Ctrl-D', '\u0004', 1],
  ])('%s at a question: ends it, and nothing is changed', async (_what, key, code) => {
    const asked = cli.start(['revoke', '--sub', 'nobody'], { columns: 200 });
    await until(() => asked.stdout.includes('[y/N]'), 'the question');
    asked.type(key);
    expect(await asked.ended).toBe(code);
    expect(asked.stdout).not.toContain('unexpected');
  });

  test('revoke and --undo: the token is refused, and then accepted again', async () => {
    const token = await makeToken('subscribe:>', 'mallory');
    const head = () => cli.run(['head', '--token', token]);
    expect((await head()).code).toBe(0);
    expect((await cli.run(['revoke', '--sub', 'mallory', '--yes'])).code).toBe(0);
    await until(async () => (await head()).code === 3, 'the revocation');
    expect((await cli.run(['revoke', '--sub', 'mallory', '--undo'])).code).toBe(0);
    await until(async () => (await head()).code === 0, 'the end of the revocation');
  });

  test('disconnect: closes the connections of a user, which come back', async () => {
    const running = cli.start(['tail', 'gone.*'], {
      env: { TIDEMARK_TOKEN: await makeToken('subscribe:>', 'bob') },
    });
    const store = (n: number) =>
      system.publisher.store({ id: String(n), source: '/tests', type: 'gone.event' });
    await until(async () => {
      await store(Math.random());
      return running.rows.length > 0;
    }, 'an event');
    expect((await cli.run(['disconnect', '--sub', 'bob'])).code).toBe(0);
    await until(() => running.stderr.includes('offline'), 'the end of the connection');
    await until(() => running.stderr.includes('live again'), 'its return');
    running.child.kill('SIGTERM');
    expect(await running.ended).toBe(143);
    expect((await cli.run(['disconnect'])).code).toBe(2);
  });

  test('connections and stats: show a reader of these services', async () => {
    const reader = cli.start(['tail', 'read.*', '--json']);
    await until(async () => {
      const { rows } = await cli.run(['connections', '--sub', 'operator', '--json']);
      return rows.some(({ transport }) => transport === 'websocket');
    }, 'the connection');
    expect((await cli.run(['connections'])).stdout).toMatch(/operator .*ws .*read\.\* .*ok/);
    await until(async () => {
      const { stdout } = await cli.run(['stats']);
      return ['gateway', 'ingest', 'replay'].every((name) =>
        new RegExp(`^${name} .* ready `, 'm').test(stdout),
      );
    }, 'all services');
    reader.child.kill('SIGINT');
    expect(await reader.ended).toBe(130);
  });

  test('rebuild: shows its progress, and ends with the same archive', async () => {
    await storeArchived(system, series('rebuild.log', 1, 500));
    const { code, stderr } = await cli.run(['rebuild']);
    expect(code).toBe(0);
    expect(stderr).toContain('The archive is rebuilt');
    expect((await cli.run(['rebuild', '--status', '--json'])).rows).toMatchObject([
      { state: 'complete' },
    ]);
    expect((await cli.run(['history', 'rebuild.log'])).rows).toHaveLength(500);
  });

  test('inbox: follows, items, counts and marks of the user of the token', async () => {
    const env = { TIDEMARK_TOKEN: await makeToken('inbox:> subscribe:>', 'alice') };
    expect((await cli.run(['inbox', 'follow', 'news.*'], { env })).code).toBe(0);
    const cursor = (await cli.run(['publish', 'news.today', '"hello"'])).stdout.trim();
    await until(async () => {
      const { rows } = await cli.run(['inbox', 'counts', '--json'], { env });
      return rows[0]?.unread === 1;
    }, 'the item');
    const list = await cli.run(['inbox'], { env });
    expect(list.stdout).toMatch(new RegExp(`● .*news.today .*"hello" .*${cursor}`));
    expect((await cli.run(['inbox', 'mark', 'read', '--up-to', cursor], { env })).stdout).toContain(
      '0 unread',
    );
    expect((await cli.run(['inbox', 'follows'], { env })).stdout).toMatch(/follows +news\.\*/);
    expect((await cli.run(['inbox', 'mark', 'raed', cursor], { env })).stderr).toContain(
      'Did you mean read?',
    );
  });

  test('bench: measures each delivery, and refuses what it cannot measure', async () => {
    const args = ['bench', '--connections', '5', '--rate', '20', '--seconds', '2'];
    const { code, rows } = await cli.run([...args, '--json']);
    expect(code).toBe(0);
    expect(rows).toMatchObject([{ published: 40, expected: 200, delivered: 200 }]);
    const shown = await cli.run(args, { columns: 80 });
    expect(shown.stdout).toContain('p99');
    expect((await cli.run(['bench', '--connections', '500', '--rate', '2000'])).code).toBe(2);
    expect((await cli.run(['bench', '--connections', '100000'])).code).toBe(2);
  });

  test('doctor: a system that is well has no fault', async () => {
    const { code, rows, stderr } = await cli.run(['doctor', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const checks = Object.fromEntries(rows.map(({ check, level }) => [check, level]));
    expect(checks).toMatchObject({
      ...{ gateway: 'ok', ingest: 'ok', replay: 'ok', versions: 'ok', token: 'ok' },
      ...{
        sse: 'ok',
        websocket: 'ok',
        archive: 'ok',
        nats: 'ok',
        jetstream: 'ok',
        'nats clock': 'ok',
      },
    });
  });

  test('doctor without NATS, without a service and with a wrong token: tells each, and looks at the rest', async () => {
    const [port] = await freePorts(1);
    const own = CommandLine.alone({ TIDEMARK_TOKEN: 'nonsense' });
    own.writeProfiles({
      current: 'a',
      profiles: {
        a: {
          gateway: system.gateway.url,
          ingest: `http://127.0.0.1:${port}`,
          replay: system.replay.url,
        },
      },
    });
    const { code, rows } = await own.run(['doctor', '--json']);
    expect(code).toBe(1);
    const levels = rows.map(({ check, level }) => `${check} ${level}`);
    expect(levels).toEqual(
      expect.arrayContaining(['ingest fault', 'replay ok', 'token fault', 'nats skipped']),
    );
    for (const { level, advice } of rows) if (level !== 'ok') expect(advice).toBeTruthy();
    own.remove();
  });

  test('doctor behind a proxy that holds SSE back and passes no upgrade on: names both', async () => {
    const proxy = await startHoldingProxy(system.gateway.url);
    const { ingest, replay } = system;
    const args = [
      'doctor',
      '--json',
      '--gateway',
      proxy.url,
      '--ingest',
      ingest.url,
      '--replay',
      replay.url,
    ];
    const { code, rows } = await cli.run(args);
    expect(code).toBe(1);
    const faults = rows.filter(({ level }) => level === 'fault').map(({ check }) => check);
    expect(faults).toEqual(['sse', 'websocket']);
    proxy.stop();
  });
});

describe('backup and restore', () => {
  test('one file: is verified, holds everything, and brings it back', {
    timeout: 120_000,
  }, async () => {
    const system = await startSystem();
    const cli = await CommandLine.for(system);
    try {
      await storeArchived(system, series('kept.log', 1, 300));
      const file = join(cli.folder, 'backup.tgz');
      const backup = ['backup', file, '--archive', system.replay.database];
      expect((await cli.run(backup)).code).toBe(0);
      expect((await cli.run(backup)).code).toBe(2);
      expect(readdirSync(cli.folder).filter((name) => name.startsWith('backup'))).toEqual([
        'backup.tgz',
      ]);
      expect((await cli.run(['restore', file, '--check'])).code).toBe(0);

      const bytes = readFileSync(file);
      const damaged = join(cli.folder, 'damaged.tgz');
      bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 0xff;
      writeFileSync(damaged, bytes);
      const restore = ['--archive', system.replay.database, '--overwrite', '--yes'];
      expect((await cli.run(['restore', damaged, ...restore])).code).toBe(1);
      writeFileSync(damaged, bytes.subarray(0, 1000));
      expect((await cli.run(['restore', damaged, ...restore])).code).toBe(1);

      await system.publisher.storeAll(series('lost.log', 1, 10));
      const running = await cli.run(['restore', file, ...restore]);
      expect(running.code).toBe(1);
      expect(running.stderr).toContain('replay service is running');
      expect(await streamEvents(system.nats.url)).toHaveLength(310);
      await system.replay.kill();
      expect((await cli.run(['restore', file, '--archive', system.replay.database])).code).toBe(1);
      const restored = await cli.run(['restore', file, ...restore]);
      expect(restored.stderr).toContain('The log goes on in the epoch');
      expect(restored.code).toBe(0);
      expect(existsSync(`${file}.restored.json`)).toBe(true);
      await system.replay.restart();
      const history = await cli.run(['history', 'kept.log']);
      expect(history.rows.map(({ event }) => (event as { id: string }).id)).toEqual(ids(1, 300));
      expect(await streamEvents(system.nats.url)).toHaveLength(300);
    } finally {
      cli.remove();
      await system.stop();
    }
  });
});
