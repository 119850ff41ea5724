import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../simulation/random.ts';
import type { Gap } from '../history.ts';
import type { Recorder } from '../recorder.ts';
import type { MadeToken, Tokens } from './tokens.ts';
import { pickPatterns } from './topics.ts';

/** A replay service, as clients see it. */
export interface ReplayAddress {
  readonly name: string;
  readonly url: string;
}

export interface ReaderPlaces {
  readonly recorder: Recorder;
  readonly tokens: Tokens;
  readonly random: Random;
  readonly replays: readonly ReplayAddress[];
  readonly signal: AbortSignal;
}

const ANSWER_MS = 15_000;
const PAGES_MAX = 6;

/** An export that is read to its end, however long that takes. */
const EXPORT_MS = 60_000;

interface Query {
  readonly topics: readonly string[];
  readonly after?: string;
  readonly before?: string;
  readonly order: 'asc' | 'desc';
  readonly limit?: number;
}

interface Answer {
  readonly items: [cursor: string, id: string][];
  readonly gaps: Gap[];
  next?: string | null;
  complete: boolean;
}

/** Reads pages of history, in both directions, until the signal comes. */
export async function readPages(name: string, places: ReaderPlaces): Promise<void> {
  const { random, signal, replays, tokens } = places;
  let known: string | undefined;
  while (!signal.aborted) {
    let query = chooseQuery(random, known);
    const token = await tokens.make(name, { history: query.topics }, 60);
    for (let page = 0; page < PAGES_MAX && !signal.aborted; page++) {
      const answer = await readPage(name, token, random.pick(replays), query, places);
      const next = answer?.next;
      if (!answer || answer.complete || !next) break;
      if (known === undefined || random.chance(0.5)) known = next;
      query = { ...query, [query.order === 'asc' ? 'after' : 'before']: next };
    }
    await sleep(random.between(200, 1500), undefined, { signal }).catch(() => {});
  }
}

/** @param known a cursor of an earlier page */
function chooseQuery(random: Random, known: string | undefined): Query {
  const order = random.chance(0.7) ? 'asc' : 'desc';
  const query = { topics: pickPatterns(random), order, limit: random.pick([10, 50, 200, 1000]) };
  if (known !== undefined && random.chance(0.5)) {
    return { ...query, order, [order === 'asc' ? 'after' : 'before']: known };
  }
  if (order === 'desc' || random.chance(0.7)) return { ...query, order };
  const after = new Date(Date.now() - random.between(0, 60_000)).toISOString();
  return { ...query, order, after };
}

/** Reads exports until the signal comes. */
export async function readExports(name: string, places: ReaderPlaces): Promise<void> {
  const { random, signal, replays, tokens } = places;
  while (!signal.aborted) {
    const topics = pickPatterns(random);
    const token = await tokens.make(name, { history: topics }, random.pick([3, 60]));
    const after = random.chance(0.3) ? new Date(Date.now() - 30_000).toISOString() : undefined;
    const query: Query = { topics, order: 'asc', ...(after !== undefined && { after }) };
    await readExport(name, token, random.pick(replays), query, places.recorder).catch(() => {});
    await sleep(random.between(2000, 6000), undefined, { signal }).catch(() => {});
  }
}

async function readPage(
  reader: string,
  token: MadeToken,
  replay: ReplayAddress,
  query: Query,
  { recorder }: ReaderPlaces,
): Promise<Answer | undefined> {
  const askedAtMs = recorder.nowMs;
  const response = await fetch(`${replay.url}/v1/events?${parameters(query)}`, {
    headers: { authorization: `Bearer ${token.text}` },
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch(() => undefined);
  if (response?.status !== 200) {
    await response?.body?.cancel();
    return undefined;
  }
  const body = (await response.json().catch(() => undefined)) as
    | {
        items: { cursor: string; event: { id: string } }[];
        gaps: Gap[];
        next: string | null;
        complete: boolean;
      }
    | undefined;
  if (!body) return undefined;
  const items = body.items.map(({ cursor, event }): [string, string] => [cursor, event.id]);
  const { gaps, next, complete } = body;
  const answer = { items, gaps, next, complete };
  const who = { reader, token: token.name, replay: replay.name };
  recorder.record({ kind: 'page', askedAtMs, ...who, ...query, ...answer });
  return answer;
}

/**
 * Reads one export and records it.
 *
 * @param topics gets the topic of each event, by its id
 * @throws Error where no export came
 */
export async function readExport(
  reader: string,
  token: MadeToken,
  replay: ReplayAddress,
  query: Query,
  recorder: Recorder,
  topics?: Map<string, string>,
): Promise<Answer> {
  const askedAtMs = recorder.nowMs;
  const answer: Answer = { items: [], gaps: [], complete: false };
  await readLines(`${replay.url}/v1/events?${parameters(query)}`, token.text, (line) => {
    if (line.gap) answer.gaps.push(line.gap);
    else if (line.event) {
      answer.items.push([line.cursor ?? '', line.event.id]);
      topics?.set(line.event.id, line.event.topic);
    } else {
      answer.complete = line.complete ?? false;
      if (line.next !== undefined) answer.next = line.next;
    }
  });
  const who = { reader, token: token.name, replay: replay.name };
  recorder.record({ kind: 'export', askedAtMs, ...who, ...query, ...answer });
  return answer;
}

interface ExportLine {
  readonly cursor?: string;
  readonly event?: { readonly id: string; readonly topic: string };
  readonly gap?: Gap;
  readonly complete?: boolean;
  readonly next?: string | null;
}

/** The lines that came, also those of an answer that was cut off. */
function readLines(url: string, token: string, take: (line: ExportLine) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' };
    const asked = request(url, { agent: false, headers });
    const timer = setTimeout(() => asked.destroy(), EXPORT_MS);
    let begun = false;
    asked.once('error', reject);
    asked.once('close', () => {
      clearTimeout(timer);
      if (begun) resolve();
      else reject(new Error('No export came.'));
    });
    asked.once('response', (response) => {
      response.on('error', () => {});
      if (response.statusCode !== 200) {
        asked.destroy();
        return;
      }
      begun = true;
      const lines = createInterface({ input: response });
      // Since Node 24 it tells the errors of the response too.
      lines.on('error', () => {});
      lines.on('line', (text) => {
        const line = parse(text);
        if (line) take(line);
      });
    });
    asked.end();
  });
}

/** The last line of an answer that was cut off is not whole. */
function parse(text: string): ExportLine | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parameters({ topics, after, before, order, limit }: Query): URLSearchParams {
  const query = new URLSearchParams({ topics: topics.join(','), order });
  if (after !== undefined) query.set('after', after);
  if (before !== undefined) query.set('before', before);
  if (limit !== undefined) query.set('limit', String(limit));
  return query;
}
