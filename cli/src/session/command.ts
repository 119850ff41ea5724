import { Command } from 'commander';
import { type Context, createContext, type GlobalOptions, type Host } from './context.ts';

/** What a command does. `options` are its own and the global ones, `args` what is not an option. */
export type Run<Options> = (
  context: Context,
  options: Options & GlobalOptions,
  args: readonly string[],
) => Promise<void>;

/** A command of the program, with all that help shows of it. */
export interface Definition {
  /** Such as `tail <topics...>`. */
  readonly usage: string;
  /** One sentence without a full stop. */
  readonly summary: string;
  /** More than the summary, if there is more. */
  readonly description?: string;
  /** Lines such as `tidemark head`. */
  readonly examples: readonly string[];
}

/** Creates a command, without its options and action. */
export function command({ usage, summary, description, examples }: Definition): Command {
  const [name = '', ...args] = usage.split(' ');
  const made = new Command(name)
    .summary(summary)
    .description(description === undefined ? `${summary}.` : `${summary}.\n\n${description}`);
  for (const arg of args) made.argument(arg);
  return made.addHelpText(
    'after',
    `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`,
  );
}

/** Gives a command what it does. */
export function does<Options>(made: Command, host: Host, run: Run<Options>): Command {
  return made.action(async (...all: unknown[]) => {
    const self = all.at(-1) as Command;
    const options = self.optsWithGlobals() as Options & GlobalOptions;
    // A variadic argument is an array of its own.
    const args = (self.processedArgs as (string | string[] | undefined)[])
      .flat()
      .filter((one) => one !== undefined);
    await run(createContext(host, options), options, args);
  });
}
