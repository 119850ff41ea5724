import { setTimeout as sleep } from 'node:timers/promises';
import { EVENT_BYTES_MAX } from '@tidemark/protocol';
import type { NewEvent } from '../support/publisher.ts';
import { ids, numbered, type System, sequenceOf, series } from '../support/system.ts';
import { until } from '../support/until.ts';
import type { Client, ClientProcess, Seen } from './clients.ts';
import type { CuttingProxy } from './cutting-proxy.ts';

/** Some clients wait longer after each failure. */
const WAIT_MS = 30_000;

/** Clients handle what the proxy has passed on. */
const SETTLE_MS = 100;

/** What line readers that know more line ends than SSE would split. */
const ODD_TEXT = 'ä \u2028 \u2029 \u0085 \u00a0 😀';

export type Phase = 'in order' | 'cut' | 'idle' | 'largest' | 'killed' | 'restarted' | 'at last';

/** How far one client has got, and at which phase it failed. */
export interface Run {
  readonly client: Client;
  readonly topic: string;
  readonly process: ClientProcess;
  readonly proxy: CuttingProxy;
  readonly done: Set<Phase>;
  failure: { readonly phase: Phase; readonly error: unknown } | undefined;
}

/** The phases of one client that need nothing of the others. */
export async function runAlone(system: System, run: Run): Promise<void> {
  const { proxy, topic, client } = run;
  const store = (first: number, last: number) =>
    system.publisher.storeInOrder(series(topic, first, last));

  await phase(run, 'in order', async () => {
    await until(() => proxy.live, 'live', WAIT_MS);
    await store(1, 19);
    await system.publisher.store({ ...numbered(topic, 20), data: ODD_TEXT });
    await untilEvents(run, 20);
  });
  await phase(run, 'cut', async () => {
    const cut = proxy.cutAfter('"n":30,"text":"lorem');
    await system.publisher.storeAll(series(topic, 21, 60));
    await cut;
    await untilEvents(run, 60);
  });
  await phase(run, 'idle', async () => {
    const own = eventsOf(run).at(-1)?.id ?? '';
    const busy =
      (await system.publisher.storeAll(series(`busy.${topic}`, 1, 10))).at(-1)?.cursor ?? '';
    await until(() => sequenceOf(proxy.position) >= sequenceOf(busy), 'a later position', WAIT_MS);
    await sleep(SETTLE_MS);
    const before = proxy.asked.length;
    proxy.goAway(client.absence ?? 'reset');
    await store(61, 62);
    // Time for a try that fails.
    await sleep(3 * SETTLE_MS);
    proxy.comeBack();
    await untilEvents(run, 62);
    const asked = proxy.asked[before];
    const sequence = sequenceOf(asked?.cursor ?? '');
    if (sequence < sequenceOf(busy) || sequence <= sequenceOf(own)) {
      throw new Error(`It came back with ${asked?.cursor}, not with ${busy} or later.`);
    }
    if (asked?.in !== client.cursorIn) throw new Error(`Its cursor came in the ${asked?.in}.`);
  });
  await phase(run, 'largest', async () => {
    await system.publisher.store(largest(topic));
    await untilEvents(run, 63);
  });
}

/** Phases in which the gateway fails, for all clients at once. */
export async function runTogether(system: System, runs: readonly Run[]): Promise<void> {
  const all = (name: Phase, first: number, last: number) =>
    Promise.all(
      runs.map((run) =>
        phase(run, name, async () => {
          await system.publisher.storeInOrder(series(run.topic, first, last));
          await untilEvents(run, last);
        }),
      ),
    );
  await system.gateway.kill('SIGKILL');
  const killed = all('killed', 64, 65);
  await sleep(SETTLE_MS);
  await system.gateway.restart();
  await killed;
  const restarted = system.gateway.restart();
  await all('restarted', 66, 67);
  await restarted;
  await all('at last', 68, 70);
}

async function phase(run: Run, name: Phase, work: () => Promise<void>): Promise<void> {
  if (run.failure) return;
  try {
    await work();
    expectExact(run);
    run.done.add(name);
  } catch (error) {
    run.failure = { phase: name, error };
  }
}

async function untilEvents(run: Run, last: number): Promise<void> {
  await until(
    () => eventsOf(run).some((event) => nameOf(event) === String(last)),
    () =>
      `event ${last} at ${run.client.name}; it has ${eventsOf(run).map(nameOf)}\n${run.process.complaints()}`,
    WAIT_MS,
  );
}

/** Each event once and in order, nothing that is empty, and of other types only where it gets them. */
function expectExact(run: Run): void {
  const received = eventsOf(run).map((event) => nameOf(event) ?? `what is no JSON: ${event.data}`);
  const expected = ids(1, received.length);
  if (received.join() !== expected.join()) throw new Error(`It received ${received}.`);
  for (const { event, data } of run.process.seen) {
    if (data === '' || data === undefined)
      throw new Error(`It got an empty ${event || 'message'}.`);
    if (!isPlain(event) && !run.client.getsAllTypes) throw new Error(`It got a ${event}.`);
  }
  for (const event of eventsOf(run)) {
    const { data, id } = JSON.parse(textOf(event)) as NewEvent;
    const wanted = contentOf(run.topic, Number(id));
    if (JSON.stringify(data) !== JSON.stringify(wanted)) throw new Error(`Event ${id} is damaged.`);
  }
}

/** What the application takes for an event. */
function eventsOf({ process, client }: Run): Seen[] {
  const events = process.seen.filter(({ event }) => isPlain(event));
  return client.getsParts ? events.filter((event) => nameOf(event) !== undefined) : events;
}

function isPlain(type: string): boolean {
  return type === 'message' || type === '';
}

/** The `id` of the CloudEvent; `undefined` for what is no JSON. */
function nameOf(event: Seen): string | undefined {
  try {
    return String(JSON.parse(textOf(event)).id);
  } catch {
    return undefined;
  }
}

function textOf({ data }: Seen): string {
  return typeof data === 'string' ? data : JSON.stringify(data);
}

function largest(topic: string): NewEvent {
  return { ...numbered(topic, 63), data: contentOf(topic, 63) };
}

function contentOf(topic: string, n: number): unknown {
  if (n === 20) return ODD_TEXT;
  if (n === 63) return 'x'.repeat(EVENT_BYTES_MAX - 400);
  return numbered(topic, n).data;
}
