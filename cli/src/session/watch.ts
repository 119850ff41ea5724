import { wait } from '../base/wait.ts';
import { LiveScreen } from '../output/live-screen.ts';
import type { Context } from './context.ts';

/**
 * Shows lines anew, over the former ones, until a signal ends it.
 *
 * @param next the lines to show now
 * @throws the reason of the signal
 */
export async function watch(
  { output, signal }: Context,
  everyMs: number,
  next: () => Promise<readonly string[]>,
): Promise<never> {
  const screen = new LiveScreen(output);
  try {
    for (;;) {
      await screen.draw(await next());
      await wait(everyMs, signal);
    }
  } finally {
    await screen.end();
  }
}
