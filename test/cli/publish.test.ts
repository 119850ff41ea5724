import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';
import { CommandLine } from './command.ts';
import { startHoldingProxy } from './holding-proxy.ts';
import { cli, system, useSystem } from './system-setup.ts';

describe('publish', () => {
  useSystem();

  /** What the stream has on a topic, in its order. */
  async function stored(topic: string) {
    return (await streamEvents(system.nats.url)).filter((event) => event.topic === topic);
  }

  test('one event: prints its cursor alone, and JSON data stays JSON', async () => {
    const { code, stdout, stderr } = await cli.run([
      ...['publish', 'one.event', '{"total": 12.5}'],
      ...['--type', 'order.paid', '--source', '/shop', '--id', '7'],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\w+-\d+\n$/);
    const again = await cli.run([
      'publish',
      'one.event',
      '{"total": 12.5}',
      '--type',
      'order.paid',
      '--source',
      '/shop',
      '--id',
      '7',
    ]);
    expect(again.stdout).toBe(stdout);
    expect(again.stderr).toContain('stored before');
    expect(await stored('one.event')).toMatchObject([
      { id: '7', source: '/shop', type: 'order.paid', data: { total: 12.5 } },
    ]);
  });

  test('data of stdin: a text where it is no JSON, and where --text says so', async () => {
    await cli.run(['publish', 'from.stdin', '-'], { input: 'hello\n' });
    await cli.run(['publish', 'from.stdin', '-'], { input: '{"a":1}' });
    await cli.run(['publish', 'from.stdin', '-', '--text'], { input: '42' });
    expect((await stored('from.stdin')).map(({ data }) => data)).toEqual(['hello', { a: 1 }, '42']);
  });

  test('conditions: store only where they hold', async () => {
    const first = await cli.run(['publish', 'if.it', '1', '--if-empty']);
    expect((await cli.run(['publish', 'if.it', '2', '--if-empty'])).code).toBe(1);
    const matched = ['publish', 'if.it', '3', '--if-match', first.stdout.trim()];
    expect((await cli.run(matched)).code).toBe(0);
    expect((await cli.run([...matched, '--json'])).code).toBe(1);
    expect(await stored('if.it')).toHaveLength(2);
  });

  test('a file with wrong lines: each is told with its number, and all others are stored in order', async () => {
    const file = cli.write(
      'mixed.ndjson',
      [
        '{"topic":"mixed.file","type":"a","data":{"n":1,"big":12345678901234567890}}',
        'nonsense',
        '',
        '{"topic":"mixed file","type":"a"}',
        '[1]',
        '{"topic":"mixed.file","type":"a","data":{"n":2}}',
        '{}',
        '{"topic":"mixed.file","type":"a","data":{"n":3}}',
      ].join('\n'),
    );
    const { code, rows } = await cli.run(['publish', '--file', file, '--json']);
    expect(code).toBe(1);
    const errors = rows.flatMap(({ line, error }) =>
      error ? [[line, (error as { code: string }).code]] : [],
    );
    expect(errors).toEqual([
      [2, 'invalid_line'],
      [4, 'invalid_event'],
      [5, 'invalid_line'],
      [7, 'invalid_event'],
    ]);
    expect(rows.at(-1)).toEqual({ summary: { stored: 3, duplicates: 0, refused: 4 } });
    expect((await stored('mixed.file')).map(({ data }) => (data as { n: number }).n)).toEqual([
      1, 2, 3,
    ]);
    const again = await cli.run(['publish', '--file', file]);
    expect(again.stderr).toContain('line 2: invalid_line');
    expect(again.stderr).toContain('3 of them before');
    expect(await stored('mixed.file')).toHaveLength(3);
    const history = await cli.run(['history', 'mixed.file', '--limit', '1']);
    expect(history.stdout).toContain('12345678901234567890');
  });

  test('--refused: keeps the lines to be corrected, and no others', async () => {
    const wrong = ['nonsense', '{"topic":"no topic","type":"a","data":12345678901234567890}'];
    const good = '{"topic":"kept.lines","type":"a"}';
    const input = [good, wrong[0], good, wrong[1], good].join('\n');
    const file = cli.write('some-wrong.ndjson', input);
    expect((await cli.run(['publish', '--file', file, '--refused', 'wrong.ndjson'])).code).toBe(1);
    expect(readFileSync(join(cli.folder, 'wrong.ndjson'), 'utf8')).toBe(`${wrong.join('\n')}\n`);
    expect(await stored('kept.lines')).toHaveLength(3);
  });

  test('a CSV: columns become attributes and data', async () => {
    const file = cli.write(
      'orders.csv',
      '\ufefftopic,type,total,note\r\ncsv.rows,order.paid,12.50,"two\nlines, ""quoted"""\r\ncsv.rows,order.paid,7,\r\ncsv.rows,too few\r\n',
    );
    const { code, stderr } = await cli.run(['publish', '--file', file, '--convert']);
    expect(code).toBe(1);
    expect(stderr).toContain('line 5: invalid_line: has 2 fields, and there are 4 columns');
    expect((await stored('csv.rows')).map(({ data }) => data)).toEqual([
      { total: 12.5, note: 'two\nlines, "quoted"' },
      { total: 7, note: null },
    ]);
  });

  test.each([
    ['a file that is not there', ['--file', 'nowhere.ndjson'], ''],
    ['a folder', ['--file', '.'], ''],
    ['a CSV without names', ['--file', '-', '--format', 'csv'], 'a,,b\n'],
    ['an option for one event', ['--file', '-', '--id', '1'], ''],
    ['neither a topic nor a file', [], ''],
    ['a topic that is none', ['not a topic', '1'], ''],
  ])('%s: exit code 2, and nothing is stored', async (_what, args, input) => {
    const before = (await streamEvents(system.nats.url)).length;
    const { code, stderr } = await cli.run(['publish', ...args], { input });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^tidemark: /);
    expect(await streamEvents(system.nats.url)).toHaveLength(before);
  });

  test('a service that was never there: exit code 4 soon, and no waiting for it', async () => {
    const [port] = await freePorts(1);
    const args = ['publish', '--file', '-', '--gateway', `http://127.0.0.1:${port}`];
    const { code, stderr } = await cli.run(args, { input: '{"topic":"a","type":"a"}\n' });
    expect(code).toBe(4);
    expect(stderr.match(/Trying again/g)).toHaveLength(3);
  });

  test('a URL where something else answers: ends it, and no line counts as refused', async () => {
    const file = cli.write('elsewhere.ndjson', numbered('else.where', 10));
    const ingest = `${system.ingest.url}/nowhere`;
    const { code, stdout, stderr } = await cli.run(['publish', '--file', file, '--ingest', ingest]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('refused lines beyond --max-errors: end it', async () => {
    const { code, stderr } = await cli.run(['publish', '--file', '-', '--max-errors', '3'], {
      input: 'x\n'.repeat(5000),
    });
    expect(code).toBe(1);
    expect(stderr).toContain('--max-errors');
  });

  test('a line without an end: is refused in little memory', async () => {
    const { code, rows } = await cli.run(['publish', '--file', '-', '--json'], {
      input: `${'x'.repeat(40_000_000)}\n{"topic":"after.long","type":"a"}\n`,
      env: { NODE_OPTIONS: '--max-old-space-size=64' },
    });
    expect(code).toBe(1);
    expect(rows.at(-1)).toMatchObject({ summary: { stored: 1, refused: 1 } });
  });

  test('killed in the middle, and started again: every line is stored once', {
    timeout: 60_000,
  }, async () => {
    const lines = 6000;
    const file = cli.write('killed.ndjson', numbered('killed.file', lines));
    for (let round = 0; round < 2; round++) {
      const running = cli.start(['publish', '--file', file, '--json']);
      const wanted = 600 * (round + 1);
      await until(() => running.stdout.split('\n').length > wanted, 'some lines');
      running.child.kill('SIGKILL');
      await running.ended;
      expect((await stored('killed.file')).length).toBeLessThan(lines);
    }
    const { code, stderr, rows } = await cli.run(['publish', '--file', file, '--json']);
    expect(code).toBe(0);
    expect(stderr).toContain('It goes on after line');
    expect(rows.at(-1)).toMatchObject({ summary: { stored: lines, refused: 0 } });
    const found = (await stored('killed.file')).map(({ data }) => (data as { n: number }).n);
    expect(found).toEqual(Array.from({ length: lines }, (_, index) => index));
  });

  test('a service that goes away in the middle: it waits, and every line is stored once', {
    timeout: 60_000,
  }, async () => {
    const lines = 4000;
    const file = cli.write('away.ndjson', numbered('away.file', lines));
    const running = cli.start(['publish', '--file', file, '--json']);
    await until(() => running.stdout !== '', 'the first lines');
    await system.ingest.restart();
    expect(await running.ended).toBe(0);
    const found = (await stored('away.file')).map(({ data }) => (data as { n: number }).n);
    expect(found).toEqual(Array.from({ length: lines }, (_, index) => index));
  });

  test('in a terminal: a bar, and Ctrl-C ends it with 130 and goes on later', {
    timeout: 60_000,
  }, async () => {
    const lines = 20_000;
    const file = cli.write('typed.ndjson', numbered('typed.file', lines));
    const running = cli.start(['publish', '--file', file], { columns: 70 });
    await until(() => /\[█+░+\] \d+ %/.test(running.stdout), 'a bar');
    expect(
      Math.max(...running.stdout.split(/\r|\n/).map((part) => visible(part).length)),
    ).toBeLessThanOrEqual(70);
    running.type('\u0003');
    expect(await running.ended).toBe(130);
    expect(running.stdout).toContain('the same command goes on there');
    const before = (await stored('typed.file')).length;
    expect(before).toBeLessThan(lines);
    const { code, stderr } = await cli.run(['publish', '--file', file]);
    expect(code).toBe(0);
    expect(stderr).not.toContain('\u001b');
    expect(await stored('typed.file')).toHaveLength(lines);
  });
});

describe('publish, long after it was killed', () => {
  test('what was stored and not noted, and is no longer recognised: is looked up, and not stored twice', {
    timeout: 60_000,
  }, async () => {
    const system = await startSystem({ env: { TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS: '1' } });
    const cli = await CommandLine.for(system);
    const proxy = await startHoldingProxy(system.ingest.url);
    try {
      const lines = 600;
      const file = cli.write('long-ago.ndjson', numbered('long.ago', lines));
      const publish = ['publish', '--file', file, '--ingest', proxy.url];
      proxy.isSilent = true;
      const killed = cli.start(publish);
      const stored = () => streamEvents(system.nats.url);
      await until(async () => (await stored()).length === 500, 'the first batch');
      killed.child.kill('SIGKILL');
      await killed.ended;
      proxy.isSilent = false;
      // As if that had been an hour ago.
      const folder = join(cli.env.XDG_STATE_HOME ?? '', 'tidemark', 'publish');
      const [name = ''] = readdirSync(folder);
      const noted = JSON.parse(readFileSync(join(folder, name), 'utf8'));
      const old = { ...noted, atMs: Date.now() - 3_600_000 };
      writeFileSync(join(folder, name), JSON.stringify(old));
      await untilForgotten(system);

      const [port] = await freePorts(1);
      const away = await cli.run([...publish, '--replay', `http://127.0.0.1:${port}`]);
      expect(away.code).toBe(4);
      const { stderr } = await cli.run(publish);
      expect(stderr).toContain('600 events are stored, 500 of them before');
      const found = (await stored()).filter(({ topic }) => topic === 'long.ago');
      expect(found.map(({ data }) => (data as { n: number }).n)).toEqual(
        Array.from({ length: lines }, (_, index) => index),
      );
    } finally {
      proxy.stop();
      cli.remove();
      await system.stop();
    }
  });
});

/** Waits until the stream no longer recognises what is stored now. */
async function untilForgotten({ publisher }: System): Promise<void> {
  const first = await publisher.store({ id: 'probe', source: '/tests', type: 'probe.it' });
  await until(async () => {
    const next = await publisher.store({ id: 'probe', source: '/tests', type: 'probe.it' });
    return next.cursor !== first.cursor;
  }, 'the end of the window');
}

function numbered(topic: string, count: number): string {
  return Array.from(
    { length: count },
    (_, n) => `${JSON.stringify({ topic, type: 'n', data: { n } })}\n`,
  ).join('');
}

function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal obeys
  return [...text.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '')].join('');
}
