import { type ChildProcess, fork } from 'node:child_process';

/** The commands of a child process. Each call gets an answer or an error. */
// biome-ignore lint/suspicious/noExplicitAny: arguments are checked where a call is made.
export type Commands = Readonly<Record<string, (argument: any) => unknown>>;

interface Call {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}
type Answer = { readonly id: number } & (
  | { readonly result: unknown; readonly error?: never }
  | { readonly error: string }
);

/** In the child: serves calls until the parent has ended. */
export function serveCommands(commands: Commands): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ id, command, argument }: Call) => {
    try {
      const result = await commands[command]?.(argument);
      process.send?.({ id, result } satisfies Answer);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.send?.({ id, error: text } satisfies Answer);
    }
  });
  process.send?.('ready');
}

/** In the harness: a child process and its commands. */
export class Worker<C extends Commands> {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #calls = 0;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    child.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    child.once('exit', (code, signal) => {
      for (const [id, answer] of this.#waiting) {
        answer({ id, error: `${name} ended (${signal ?? code})` });
      }
      this.#waiting.clear();
    });
  }

  /** @param file a TypeScript file that calls `serveCommands` */
  static async start<C extends Commands>(
    file: URL,
    nodeArguments: readonly string[] = [],
  ): Promise<Worker<C>> {
    // The child reads TypeScript in the same way as this process.
    const child = fork(file, { execArgv: [...process.execArgv, ...nodeArguments] });
    const killAtExit = () => child.kill('SIGKILL');
    process.once('exit', killAtExit);
    child.once('exit', () => process.off('exit', killAtExit));
    const name = file.pathname.split('/').at(-1)?.replace('.ts', '') ?? 'worker';
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`${name} ended at its start (${code})`)));
    });
    return new Worker<C>(name, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  call<N extends keyof C & string>(
    command: N,
    argument: Parameters<C[N]>[0],
  ): Promise<Awaited<ReturnType<C[N]>>> {
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (answer) => {
        if (answer.error === undefined) resolve(answer.result as Awaited<ReturnType<C[N]>>);
        else reject(new Error(`${this.name} ${command}: ${answer.error}`));
      });
      this.#child.send({ id, command, argument } satisfies Call);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
