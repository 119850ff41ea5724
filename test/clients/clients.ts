import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Absence } from './cutting-proxy.ts';

const PROGRAMS = fileURLToPath(new URL('programs/', import.meta.url));

/** The last lines of a program's complaints that an error shows. */
const COMPLAINTS_SHOWN = 10;

/** Where test/runner/clients.mjs has put what it installed; absent: it could not. */
const { TEST_CLIENTS_PYTHON, TEST_CLIENTS_GO } = process.env;

/** What a client is given. */
export interface Target {
  /** Of the stream, with its query. */
  readonly url: string;
  readonly token: string;
}

/** What the application of a client is handed. */
export interface Seen {
  readonly id: string;
  /** The type: of a plain event `message` or empty, by client. */
  readonly event: string;
  /** The text, or what the JSON of it says. */
  readonly data: unknown;
}

export interface ClientProcess {
  readonly seen: readonly Seen[];
  /** What it wrote beside that. */
  complaints(): string;
  stop(): Promise<void>;
}

export interface Client {
  readonly name: string;
  /** A module of `pages` to run in a browser, or a command. */
  readonly run:
    | { readonly page: string }
    | { readonly command: Command; readonly env?: NodeJS.ProcessEnv };
  /** The program that is missing here. */
  readonly lacks?: string;
  /** Whether its application gets blocks of every type, and has to look at the type. */
  readonly getsAllTypes: boolean;
  /** Whether its application also gets the part of an event that came before a cut. */
  readonly getsParts?: boolean;
  /** Where its cursor stands when it comes back. */
  readonly cursorIn: 'header' | 'query';
  /** What it is met with while the gateway is away. Most give up after a status other than 200. */
  readonly absence?: Absence;
}

type Command = (target: Target) => readonly string[];

const nodeProgram = (file: string, ...more: string[]): { command: Command } => ({
  command: ({ url, token }) => [process.execPath, join(PROGRAMS, file), url, token, ...more],
});

/** @param more `default` for a client whose buffer is left as it is */
export const goProgram = (name: string, ...more: string[]): Pick<Client, 'run' | 'lacks'> => ({
  run: { command: ({ url, token }) => [join(TEST_CLIENTS_GO ?? '', name), url, token, ...more] },
  ...(TEST_CLIENTS_GO === undefined && { lacks: 'Go' }),
});

/** @param more `default` for a client whose timeouts are left as they are */
export const pythonProgram = (file: string, ...more: string[]): Pick<Client, 'run' | 'lacks'> => ({
  run: {
    command: ({ url, token }) => ['python3', join(PROGRAMS, file), url, token, ...more],
    env: { PYTHONPATH: TEST_CLIENTS_PYTHON },
  },
  ...(TEST_CLIENTS_PYTHON === undefined && { lacks: 'Python with pip' }),
});

/** Every client that the table of PROTOCOL.md section 7.1 names. */
export const CLIENTS: readonly Client[] = [
  {
    name: 'EventSource of Chromium',
    run: { page: 'native' },
    getsAllTypes: false,
    cursorIn: 'header',
  },
  {
    name: 'reconnecting-eventsource',
    run: { page: 'reconnecting-eventsource' },
    getsAllTypes: false,
    cursorIn: 'query',
    absence: '502',
  },
  {
    name: 'event-source-polyfill',
    run: { page: 'event-source-polyfill' },
    getsAllTypes: false,
    cursorIn: 'query',
  },
  {
    name: '@microsoft/fetch-event-source',
    run: { page: 'fetch-event-source' },
    getsAllTypes: true,
    cursorIn: 'header',
    absence: '502',
  },
  {
    name: 'eventsource 4',
    run: nodeProgram('eventsource.mjs', 'eventsource-4'),
    getsAllTypes: false,
    cursorIn: 'header',
  },
  {
    name: 'eventsource 5',
    run: nodeProgram('eventsource.mjs', 'eventsource-5'),
    getsAllTypes: false,
    cursorIn: 'header',
  },
  {
    name: 'undici, EventSource',
    run: nodeProgram('undici.mjs'),
    getsAllTypes: false,
    cursorIn: 'header',
  },
  {
    name: 'httpx-sse',
    ...pythonProgram('httpx_sse_client.py'),
    getsAllTypes: true,
    cursorIn: 'header',
    absence: '502',
  },
  {
    name: 'r3labs/sse',
    ...goProgram('r3labs'),
    getsAllTypes: true,
    getsParts: true,
    cursorIn: 'header',
    absence: '502',
  },
  { name: 'tmaxmax/go-sse', ...goProgram('tmaxmax'), getsAllTypes: true, cursorIn: 'header' },
  {
    name: 'curl',
    run: { command: ({ url, token }) => ['bash', join(PROGRAMS, 'curl.sh'), url, token] },
    ...(spawnSync('curl', ['--version']).status !== 0 && { lacks: 'curl' }),
    getsAllTypes: true,
    cursorIn: 'header',
    absence: '502',
  },
];

/** A test that fails must not leave programs behind. */
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a client that is a program. It prints a line of JSON for each thing that its application gets. */
export function startProgram({ run }: Pick<Client, 'run'>, target: Target): ClientProcess {
  if ('page' in run) throw new Error(`${run.page} is a page.`);
  const seen: Seen[] = [];
  const complaints: string[] = [];
  const [command = '', ...rest] = run.command(target);
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...run.env },
  });
  children.add(child);
  const ended = new Promise<void>((resolve) => {
    child.once('error', ({ message }) => complaints.push(message));
    child.once('close', (code) => {
      children.delete(child);
      complaints.push(`It has ended with code ${code}.`);
      resolve();
    });
  });
  eachLine(child.stdout, (line) => seen.push(JSON.parse(line)));
  eachLine(child.stderr, (line) => complaints.push(line));
  return {
    seen,
    complaints: () => complaints.slice(-COMPLAINTS_SHOWN).join('\n'),
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Lines end with a line feed alone. The readline of Node also ends them where JSON may have U+2028. */
function eachLine(output: Readable, take: (line: string) => void): void {
  let rest = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
}
