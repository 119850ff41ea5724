import { jetstreamManager } from '@nats-io/jetstream';
import { readLineage, STREAM_NAME } from '@tidemark/nats';
import { fromSubject, parseCursor } from '@tidemark/protocol';
import Database from 'better-sqlite3';
import type { Removed } from './faults/retention.ts';
import type { FinalRecord, StoredEvent } from './history.ts';
import { readExport } from './load/readers.ts';
import type { Tokens } from './load/tokens.ts';
import type { Recorder } from './recorder.ts';
import type { Nats } from './world/nats.ts';
import type { World } from './world/world.ts';

type Stored = Omit<StoredEvent, 'kind' | 'store'>;

const READS_AT_ONCE = 64;

/** The last sequence of the stream, once its leader says so. @throws Error where nobody answers */
export async function endOfStream({ connection }: Nats): Promise<number> {
  const { streams } = await jetstreamManager(connection, { checkAPI: false });
  return (await streams.info(STREAM_NAME)).state.last_seq;
}

interface FinalOptions {
  readonly tokens: Tokens;
  readonly recorder: Recorder;
  /** What had left the stream, and came back with a server that was killed, does not count. */
  readonly removed: Removed;
}

/** Reads the stream, from its leader, and each archive, as an export. */
export async function readFinal(
  world: World,
  { tokens, recorder, removed }: FinalOptions,
): Promise<FinalRecord[]> {
  const { streams } = await jetstreamManager(world.nats.connection, { checkAPI: false });
  const { state, created, config } = await streams.info(STREAM_NAME);
  const lineage = readLineage(config.metadata, Date.parse(created));
  const firstSequence = Math.max(state.first_seq, removed.streamFirst);
  const bounds = { ...lineage, firstSequence, lastSequence: state.last_seq };
  const times = new Map<number, number>();
  const records: FinalRecord[] = [{ kind: 'store', store: 'stream', ...bounds }];
  for (const event of await readStream(world.nats, firstSequence, state.last_seq)) {
    times.set(event.sequence, event.timeMs);
    records.push({ kind: 'stored', store: 'stream', ...event });
  }
  for (const replay of world.replays) {
    const token = await tokens.make('auditor', { history: ['>'] });
    const query = { topics: ['>'], order: 'asc' } as const;
    const topics = new Map<string, string>();
    const { items } = await readExport('auditor', token, replay, query, recorder, topics);
    const places = items.map(([cursor, id]) => ({ ...parseCursor(cursor), id }));
    const [first] = places;
    const last = places.at(-1);
    records.push({
      kind: 'store',
      store: replay.name,
      ...lineage,
      epoch: last?.epoch ?? lineage.epoch,
      firstSequence: first?.sequence ?? 1,
      lastSequence: last?.sequence ?? 0,
    });
    readTimes(replay.database, times);
    for (const { sequence, id } of places) {
      if (removed.gone.has(sequence)) continue;
      const timeMs = times.get(sequence) ?? 0;
      const topic = topics.get(id) ?? '';
      records.push({ kind: 'stored', store: replay.name, sequence, topic, id, timeMs });
    }
  }
  return records;
}

/** One event after the other from the server that leads the stream: a consumer would read one copy. */
async function readStream(nats: Nats, first: number, last: number): Promise<Stored[]> {
  const { streams } = await jetstreamManager(nats.connection, { checkAPI: false });
  const events: Stored[] = [];
  for (let next = first; next <= last; next += READS_AT_ONCE) {
    const count = Math.min(READS_AT_ONCE, last - next + 1);
    const messages = await Promise.all(
      Array.from({ length: count }, (_, index) => {
        return streams.getMessage(STREAM_NAME, { seq: next + index });
      }),
    );
    for (const message of messages) {
      if (!message) continue;
      const { id } = message.json<{ id: string }>();
      const topic = fromSubject(message.subject) ?? '';
      events.push({ sequence: message.seq, topic, id, timeMs: message.time.getTime() });
    }
  }
  return events;
}

/** When the events were stored that have left the stream: an export does not say. */
function readTimes(file: string, times: Map<number, number>): void {
  const database = new Database(file, { readonly: true });
  try {
    for (const row of database.prepare('SELECT sequence, time_ms FROM events').iterate()) {
      const { sequence, time_ms } = row as { sequence: number; time_ms: number };
      if (!times.has(sequence)) times.set(sequence, time_ms);
    }
  } finally {
    database.close();
  }
}
