import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { connectIn } from '../../libs/client/dist/client.js';
// Loaded on demand, which would take real time in a world that has its own.
import '../../libs/client/dist/http.js';
import { QUEUE_LIMITS } from '../../libs/client/dist/message-queue.js';
import { QUEUE_ITEMS, World } from './world.ts';

/*
 * The client library against a gateway of the test's own, under a clock of its own: cuts, refusals, late timers,
 * clocks that jump, slow consumers, crashes. `CLIENT_SEEDS=1..1000` runs others than the first ones.
 */

const DIST = fileURLToPath(new URL('../../libs/client/dist', import.meta.url));
const [FIRST, LAST] = (process.env.CLIENT_SEEDS ?? '1..60').split('..').map(Number);
const STEPS = 150;
const MUTATION_SEEDS = 300;

test('client, simulated: loses nothing and gives nothing twice', async () => {
  QUEUE_LIMITS.items = QUEUE_ITEMS;
  const sum = { received: 0, again: 0, resets: 0, paused: 0 };
  for (let seed = FIRST ?? 1; seed <= (LAST ?? 0); seed++) {
    const outcome = await run(connectIn, seed);
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += outcome[key];
  }
  console.log(sum);
  // What the worlds are for did happen in them.
  for (const count of Object.values(sum)) expect(count).toBeGreaterThan(0);
}, 600_000);

async function run(connect: typeof connectIn, seed: number) {
  try {
    return await new World(connect, seed).run(STEPS);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`);
  }
}

/** Faults that the worlds have to find: [what, file, text, its replacement]. */
const MUTATIONS: readonly [what: string, file: string, text: string, by: string][] = [
  ['waits for ever for a request', 'requests.js', 'tooLate.abort()', 'undefined'],
  ['waits for ever for a token', 'token.js', "reject(new Error('No token came.'))", 'undefined'],
  [
    'comes back after what was received by others',
    'subscription.js',
    'isAfter(cursor, this.#received) &&',
    'true &&',
  ],
  [
    'comes back at what it began with',
    'subscription.js',
    '(this.#received ?? this.#start)',
    'this.#start',
  ],
  [
    'takes events before it is confirmed',
    'subscription.js',
    'return (this.#confirmed &&',
    'return (true &&',
  ],
  [
    'stores what is in hand',
    'subscription.js',
    'this.#inHand = item;',
    'this.#inHand = item; if (item.after) this.#store.advance(item.after + "9");',
  ],
  [
    'drops what does not fit and goes on',
    'subscription.js',
    'this.#queue.push(',
    'if (this.#queue.length < 5) this.#queue.push(',
  ],
  ['never comes back from a pause', 'subscription.js', 'this.#host.resume(this)', 'undefined'],
  [
    'keeps last events that were cut off',
    'subscription.js',
    "this.#queue.clear();\n        this.#put({ type: 'reset' }, 0, undefined);",
    '',
  ],
  [
    'resumes within the last events',
    'subscription.js',
    'if (!this.#lastPending)\n            this.#mark(cursor);',
    'this.#lastPending = false;',
  ],
  [
    'takes late timers and dead links alike: never dead',
    'silence-watch.js',
    '++this.#silentFor > 2',
    'false',
  ],
  [
    'does not come back after a wait',
    'connection.js',
    'this.#timer = this.#environment.timer(() => this.#open(), ms);\n        this.#tell();',
    '',
  ],
  ['keeps a refused token', 'token.js', 'this.#token = undefined;', ';'],
  [
    'forgets a subscription that was refused for now',
    'connection.js',
    'this.#environment.timer(() => {\n            const isWanted',
    '(() => {})(() => {\n            const isWanted',
  ],
  [
    'moves on over what a heartbeat passes',
    'subscription.js',
    'before.after = cursor;',
    'this.#store.advance(cursor);',
  ],
];

test.each(MUTATIONS)(
  'client, simulated: finds: %s',
  async (_what, file, text, by) => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-client-'));
    try {
      await copyModules(folder);
      await writeFile(join(folder, 'package.json'), '{"type":"module"}');
      const before = await readFile(join(folder, file), 'utf8');
      expect(before, 'the mutation names a text that there is').toContain(text);
      await writeFile(join(folder, file), before.replace(text, by));
      const load = (name: string) => import(pathToFileURL(join(folder, name)).href);
      await load('http.js');
      const { connectIn: mutated } = await load('client.js');
      const { QUEUE_LIMITS: limits } = await load('message-queue.js');
      limits.items = QUEUE_ITEMS;
      const found = async () => {
        for (let seed = 1; seed <= MUTATION_SEEDS; seed++) await run(mutated, seed);
      };
      await expect(found()).rejects.toThrow('seed');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  300_000,
);

/** Without source maps, which would point to where the sources are not. */
async function copyModules(folder: string): Promise<void> {
  for (const name of (await readdir(DIST)).filter((one) => one.endsWith('.js'))) {
    const text = await readFile(join(DIST, name), 'utf8');
    await writeFile(join(folder, name), text.replace(/^\/\/# sourceMappingURL.*$/m, ''));
  }
}
