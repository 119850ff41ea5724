import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeToken } from '../support/services.ts';
import type { System } from '../support/system.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = join(ROOT, 'cli', 'bin', 'tidemark.mjs');
const TERMINAL = fileURLToPath(new URL('terminal.py', import.meta.url));

/** The scope of an operator who may do everything. */
export const OPERATOR_SCOPE = 'subscribe:> publish:> history:> inbox:> admin';

/** A command that runs, and what it has printed so far. */
export interface Running {
  readonly child: ChildProcess;
  readonly stdout: string;
  readonly stderr: string;
  /** Its lines of JSON, complete ones alone. */
  readonly rows: readonly Record<string, unknown>[];
  /** The exit code; `null` where a signal ended it. */
  readonly ended: Promise<number | null>;
  type(text: string): void;
}

/** What a command printed, and its exit code. */
export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly rows: readonly Record<string, unknown>[];
}

/** How a command is run. */
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** In a terminal with so many columns; stderr is in stdout then. */
  readonly columns?: number;
}

/** Where the parts of a system are. */
export interface Places extends Pick<System, 'gateway' | 'ingest' | 'replay'> {
  readonly nats: { readonly url: string };
}

/** The command line with a home of its own, and a profile for a system. */
export class CommandLine {
  readonly folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'));
  readonly env: Record<string, string>;

  private constructor(env: Record<string, string>) {
    this.env = {
      PATH: process.env.PATH ?? '',
      HOME: this.folder,
      XDG_CONFIG_HOME: join(this.folder, 'config'),
      XDG_STATE_HOME: join(this.folder, 'state'),
      TERM: 'xterm',
      ...env,
    };
  }

  /** For no system: nothing but what the arguments name. */
  static alone(env: Record<string, string> = {}): CommandLine {
    return new CommandLine(env);
  }

  /** For the services of a system, with a token that may do everything. */
  static async for(system: Places): Promise<CommandLine> {
    const line = new CommandLine({ TIDEMARK_TOKEN: await makeToken(OPERATOR_SCOPE, 'operator') });
    const { gateway, ingest, replay, nats } = system;
    line.writeProfiles({
      current: 'test',
      profiles: {
        test: {
          gateway: gateway.url,
          ingest: ingest.url,
          replay: replay.url,
          nats: { url: nats.url },
        },
      },
    });
    return line;
  }

  /** Writes `profiles.json`, right or wrong. */
  writeProfiles(content: unknown): void {
    const folder = join(this.folder, 'config', 'tidemark');
    mkdirSync(folder, { recursive: true });
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(join(folder, 'profiles.json'), text, { mode: 0o600 });
  }

  /** Writes a file into the folder. @returns its path */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts a command. */
  start(args: readonly string[], { env = {}, columns, input }: RunOptions = {}): Running {
    const command = [process.execPath, PROGRAM, ...args];
    const [program = '', ...rest] =
      columns === undefined ? command : ['python3', TERMINAL, String(columns), ...command];
    const child = spawn(program, rest, { cwd: this.folder, env: { ...this.env, ...env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.on('error', () => undefined);
    if (columns === undefined) child.stdin.end(input ?? '');
    const ended = once(child, 'close').then(() => child.exitCode);
    const killAtExit = () => child.kill('SIGKILL');
    process.once('exit', killAtExit);
    ended.finally(() => process.off('exit', killAtExit)).catch(() => undefined);
    return {
      child,
      ended,
      get stdout() {
        return stdout;
      },
      get stderr() {
        return stderr;
      },
      get rows() {
        return rowsOf(stdout);
      },
      type: (text) => child.stdin.write(text),
    };
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], options?: RunOptions): Promise<Result> {
    const running = this.start(args, options);
    const code = await running.ended;
    const { stdout, stderr, rows } = running;
    return { code, stdout, stderr, rows };
  }

  /** Removes the folder. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function rowsOf(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
}
