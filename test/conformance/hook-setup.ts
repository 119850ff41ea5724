import { type HOOKS, writeHooks } from './hooks.ts';
import { type IngestSetup, startIngest } from './ingest-setup.ts';

type HookName = keyof typeof HOOKS;

/** What the sender of a webhook is answered. */
export interface HookAnswer {
  readonly status: number;
  readonly text: string;
}

/** The answer to a webhook that is stored. */
export const STORED: HookAnswer = { status: 200, text: '' };

/** Ingest with the hooks of `hooks.ts`. */
export interface HookSetup extends IngestSetup {
  send(name: HookName, body: string, headers?: Record<string, string>): Promise<HookAnswer>;
  /** The events that the stream has of a hook. */
  storedOf(name: HookName): Promise<Record<string, unknown>[]>;
  lastOf(name: HookName): Promise<Record<string, unknown> | undefined>;
}

export async function startHooks(): Promise<HookSetup> {
  const file = writeHooks();
  const setup = await startIngest({ env: file.env });
  async function storedOf(name: HookName): Promise<Record<string, unknown>[]> {
    const all = await setup.stored();
    return all.map(({ event }) => event).filter(({ publisher }) => publisher === `hook:${name}`);
  }
  return {
    ...setup,
    storedOf,
    lastOf: async (name) => (await storedOf(name)).at(-1),
    async send(name, body, headers = {}) {
      const answer = await fetch(`${setup.ingest.url}/v1/hooks/${name}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      return { status: answer.status, text: await answer.text() };
    },
    async stop() {
      await setup.stop();
      file.remove();
    },
  };
}
