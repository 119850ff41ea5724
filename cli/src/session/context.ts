import { Api } from '../http/api.ts';
import { Output } from '../output/output.ts';
import { findTarget, type Target, type TargetOptions } from '../profile/target.ts';

/** What the process gives to all commands. */
export interface Host {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborted by a signal; its reason is an `Interrupted`. */
  readonly signal: AbortSignal;
}

/** The options that every command has. */
export interface GlobalOptions extends TargetOptions {
  readonly json?: boolean;
  readonly color?: boolean;
  readonly quiet?: boolean;
}

/** What one command works with. */
export interface Context extends Pick<Host, 'environment' | 'stdin' | 'signal'> {
  readonly output: Output;
  readonly options: GlobalOptions;
  /** The system that it works on, looked up once. */
  target(): Promise<Target>;
  /** Requests to that system. */
  api(): Promise<Api>;
}

/** Makes the context of one command. */
export function createContext(host: Host, options: GlobalOptions): Context {
  const { environment, stdin, stdout, stderr, signal } = host;
  const output = new Output({ stdout, stderr, environment, ...options });
  let target: Promise<Target> | undefined;
  const context: Context = {
    environment,
    stdin,
    signal,
    output,
    options,
    target: () => {
      target ??= findTarget(options, environment);
      return target;
    },
    api: async () => {
      const { urls, token } = await context.target();
      return new Api({
        urls,
        token,
        signal,
        onRetry: ({ message }, ms) => {
          output.message(
            output.messageStyle('dim', `${message} Trying again in ${(ms / 1000).toFixed(1)} s …`),
          );
        },
      });
    },
  };
  return context;
}
