import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { makeToken } from '../support/services.ts';
import type { System } from '../support/system.ts';
import { CommandLine } from './command.ts';
import { cli, system, useSystem } from './system-setup.ts';

describe('the command line', () => {
  useSystem();

  test('help: goes to stdout with exit code 0, and names every command', async () => {
    const { code, stdout, stderr } = await cli.run(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of ['publish', 'tail', 'doctor', 'backup', 'completion']) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
    const help = await cli.run(['help', 'exit-codes']);
    expect(help.stdout).toContain('130  Ctrl-C');
  });

  test.each([
    ['a command', ['tial', 'x'], 'Did you mean tail?'],
    ['an option', ['head', '--topcis', 'x'], 'Did you mean --topics?'],
    ['a profile', ['head', '--profile', 'tets'], 'Did you mean test?'],
    ['a value', ['tail', 'x', '--deliver', 'latst'], 'Did you mean latest?'],
  ])('a mistyped name of %s: exit code 2, with the closest one', async (_what, args, words) => {
    const { code, stdout, stderr } = await cli.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(words);
  });

  test('a token that is no good: exit code 3, and with --json an error for programs', async () => {
    const { code, stderr } = await cli.run(['head', '--token', 'nonsense']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^tidemark: .*token.*\n$/);
    const json = await cli.run(['head', '--token', 'nonsense', '--json']);
    expect(JSON.parse(json.stderr).error).toMatchObject({ code: 'unauthenticated', exit: 3 });
  });

  test('a token that permits too little: exit code 3', async () => {
    const token = await makeToken('subscribe:orders.*');
    const { code, stderr } = await cli.run(['publish', 'orders.1', '1', '--token', token]);
    expect(code).toBe(3);
    expect(stderr).toContain('publish');
  });

  test('a service that is away: exit code 4 after some attempts', async () => {
    const [port] = await freePorts(1);
    const { code, stderr } = await cli.run(['head', '--gateway', `http://127.0.0.1:${port}`]);
    expect(code).toBe(4);
    expect(stderr).toContain('ECONNREFUSED');
  });

  test('a service that is no Tidemark: a sentence, and no stack', async () => {
    const { code, stderr } = await cli.run(['head', '--gateway', `${system.gateway.url}/nowhere`]);
    expect(code).toBe(1);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('profiles: added for the owner alone, listed without tokens, used and removed', async () => {
    const own = CommandLine.alone();
    const add = ['profile', 'add', 'shop', '--gateway', system.gateway.url, '--token', 'a-secret'];
    expect((await own.run([...add, '--use'])).code).toBe(0);
    const path = join(own.folder, 'config', 'tidemark', 'profiles.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ current: 'shop' });
    const list = await own.run(['profile', 'list', '--json']);
    expect(list.rows.map(({ name, current }) => [name, current])).toEqual([
      ['shop', true],
      ['local', false],
    ]);
    expect(list.stdout).not.toContain('a-secret');
    chmodSync(path, 0o644);
    expect((await own.run(['profile', 'list'])).stderr).toContain('chmod 600');
    expect((await own.run(['profile', 'remove', 'shop'])).code).toBe(0);
    expect((await own.run(['profile', 'use', 'shop'])).code).toBe(2);
    own.remove();
  });

  test.each([
    ['no JSON', '{', 'are broken'],
    [
      'an unknown field',
      { profiles: { a: { gateway: 'http://x', tokn: 'x' } } },
      'Did you mean token?',
    ],
    ['a URL that is none', { profiles: { a: { gateway: 'x' } } }, 'is a URL such as'],
    [
      'two tokens',
      { profiles: { a: { gateway: 'http://x', token: 'a', tokenFile: 'b' } } },
      'one is enough',
    ],
  ])('profiles with %s: exit code 2 and a sentence', async (_what, content, words) => {
    const own = CommandLine.alone();
    own.writeProfiles(content);
    const { code, stderr } = await own.run(['head']);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
    own.remove();
  });

  test('a profile whose URL ends with a slash: is the same as without', async () => {
    const own = CommandLine.alone({ TIDEMARK_TOKEN: cli.env.TIDEMARK_TOKEN ?? '' });
    own.writeProfiles({ current: 'a', profiles: { a: { gateway: `${system.gateway.url}/` } } });
    expect((await own.run(['head'])).code).toBe(0);
    const add = ['profile', 'add', 'b', '--gateway', 'http://x/', '--replay-admin', 'y'];
    expect((await own.run(add)).stderr).toContain('b.replayAdmin is a URL such as');
    own.remove();
  });

  test('the profile local: tokens of its secret go to the services of this machine, and nowhere else', async () => {
    const own = CommandLine.alone({ TIDEMARK_TOKEN_SECRET: 'a-secret-of-32-bytes-and-some-more' });
    const { url } = system.gateway;
    const shown = await own.run(['token', 'inspect', '--as', 'alice', '--gateway', url, '--json']);
    expect(shown.rows).toMatchObject([{ claims: { sub: 'alice' } }]);
    for (const flag of ['--gateway', '--ingest', '--replay', '--admin']) {
      const { code, stdout } = await own.run(['token', 'inspect', flag, 'http://192.0.2.1']);
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    }
    const env = { TIDEMARK_HOST: '192.0.2.1' };
    expect((await own.run(['token', 'inspect'], { env })).code).toBe(0);
    expect((await own.run(['console'], { env })).stdout).toContain('192.0.2.1');
    own.remove();
  });

  test('a token file and a token command: give the token', async () => {
    const token = cli.env.TIDEMARK_TOKEN ?? '';
    const own = CommandLine.alone();
    const file = own.write('token', `${token}\n`);
    const { url: gateway } = system.gateway;
    own.writeProfiles({
      profiles: {
        file: { gateway, tokenFile: file },
        command: { gateway, tokenCommand: `cat ${file}` },
        failing: { gateway, tokenCommand: 'echo no key >&2; exit 3' },
      },
    });
    for (const profile of ['file', 'command']) {
      expect((await own.run(['head', '--profile', profile])).code).toBe(0);
    }
    const failed = await own.run(['head', '--profile', 'failing']);
    expect(failed.code).toBe(2);
    expect(failed.stderr).toContain('no key');
    own.remove();
  });

  test('token inspect: tells user, permissions and times, and --check asks the gateway', async () => {
    const { stdout } = await cli.run(['token', 'inspect']);
    expect(stdout).toContain('operator');
    expect(stdout).toContain('history:>');
    const checked = await cli.run(['token', 'inspect', '--check', '--json']);
    expect(checked.rows[0]).toMatchObject({ claims: { sub: 'operator' } });
    expect(checked.code).toBe(0);
    expect((await cli.run(['token', 'inspect', 'nonsense'])).code).toBe(2);
  });

  test('a reader of the output that goes: silence, and exit code 141', async () => {
    await system.publisher.storeAll(
      Array.from({ length: 3000 }, (_, n) => ({
        id: String(n),
        source: '/tests',
        type: 'pipe.full',
        data: 'x'.repeat(500),
      })),
    );
    const running = cli.start(['history', 'pipe.full', '--at-least', await headOf(system)]);
    running.child.stdout?.once('data', () => running.child.stdout?.destroy());
    expect(await running.ended).toBe(141);
    expect(running.stderr).toBe('');
  });

  test('completion: bash completes commands, their commands and their options', async () => {
    const { stdout: script } = await cli.run(['completion', 'bash']);
    const complete = (...words: string[]) => {
      const list = words.map((word) => `'${word}'`).join(' ');
      const program = `${script}\nCOMP_WORDS=(tidemark ${list}); COMP_CWORD=${words.length}; _tidemark; echo "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', program], { encoding: 'utf8', cwd: cli.folder }).split(
        /\s+/,
      );
    };
    expect(complete('pub')).toContain('publish');
    expect(complete('inbox', 'mar')).toContain('mark');
    expect(complete('--json', 'tail', '--un')).toEqual(['--until-live', '']);
    expect((await cli.run(['completion', 'fish'])).stdout).toContain('-l until-live -d');
    expect((await cli.run(['completion', 'bsh'])).stderr).toContain('Did you mean bash?');
  });

  test('in a pipe: no colours; in a terminal: colours, unless something says no', async () => {
    const plain = await cli.run(['token', 'inspect']);
    expect(plain.stdout).not.toContain('\u001b');
    const shown = await cli.run(['token', 'inspect'], { columns: 80 });
    expect(shown.stdout).toContain('\u001b[');
    const without = [
      await cli.run(['token', 'inspect', '--no-color'], { columns: 80 }),
      await cli.run(['token', 'inspect'], { columns: 80, env: { NO_COLOR: '1' } }),
    ];
    for (const { stdout } of without) expect(stdout).not.toContain('\u001b[');
  });

  test('a table: is as wide as the terminal, and cuts what gives way', async () => {
    const topic = `wide.${'x'.repeat(120)}`;
    const cursor = (await cli.run(['publish', topic, '1'])).stdout.trim();
    await cli.run(['history', topic, '--at-least', cursor]);
    const piped = await cli.run(['topics', 'wide.*']);
    expect(piped.stdout).toContain(topic);
    const shown = await cli.run(['topics', 'wide.*', '--no-color'], { columns: 60 });
    const lines = shown.stdout.trimEnd().split(/\r?\n/);
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(60);
    expect(shown.stdout).toContain('…');
  });
});

async function headOf({ gateway, token }: System): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${gateway.url}/v1/head`, { headers });
  return ((await answer.json()) as { cursor: string }).cursor;
}
