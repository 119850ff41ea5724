import '../launcher/node-version.mjs';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { Failure, runMain } from '../launcher/failure.mjs';
import { fromCaller, loadBuilt, readArguments } from './arguments.mjs';

const USAGE = `npm run erasures -- --save <file> | --apply <file> [--url <url>]

A backup that is older than an erasure has what was erased, and lacks the record. Save the records beside each backup
and after each erasure, and apply them after a restore, before clients come back.

  --save   writes the records of all erasures into a file, in place of what it held; needs history:tidemark.erasures
  --apply  erases again what the records of that file name; needs the scope admin
  --url    the replay service; its admin port for --apply, where it has one; http://127.0.0.1:8082 if absent

TIDEMARK_TOKEN holds the token.`;

/** How long one request may take; a big topic is gone on with after it. */
const REQUEST_MS = 30_000;

/**
 * @typedef {object} Record
 * @property {string} reason
 * @property {string} [topic]
 * @property {string[]} [cursors] of single events
 */

/** @param {string} url @param {string} token @param {string} path @returns {Promise<number>} how many it saved */
export async function save(url, token, path) {
  const response = await request(`${url}/v1/events?topics=tidemark.erasures`, token, {
    headers: { accept: 'application/x-ndjson' },
  });
  if (!response.body) throw new Failure('The replay service answers nothing.');
  const lines = createInterface({ input: Readable.fromWeb(/** @type {any} */ (response.body)) });
  const records = [];
  let complete = false;
  for await (const line of lines) {
    const item = JSON.parse(line);
    if (item.event) records.push(await toRecord(item));
    else complete ||= item.complete === true;
  }
  // A file that is not whole would pass for one that is.
  if (!complete) throw new Failure('The records are not complete; try again.');
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    await file.sync();
  } finally {
    await file.close();
  }
  return records.length;
}

/** @param {{ cursor: string, event: { data: any } }} item @returns {Promise<Record>} */
async function toRecord({ cursor, event: { data } }) {
  const { formatCursor, parseCursor } = await loadBuilt(() => import('@tidemark/protocol'));
  const { topic, reason, sequences = [] } = data;
  if (topic !== undefined) return { topic, reason };
  const { epoch } = parseCursor(cursor);
  const cursors = sequences.map((/** @type {number} */ sequence) =>
    formatCursor({ epoch, sequence }),
  );
  return { cursors, reason };
}

/** @param {string} url @param {string} token @param {string} path */
export async function apply(url, token, path) {
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  const counts = { erased: 0, absent: 0 };
  for (const line of lines) {
    /** @type {Record} */
    const { topic, cursors = [], reason } = JSON.parse(line);
    const targets = topic === undefined ? cursors.map((cursor) => ({ cursor })) : [{ topic }];
    for (const target of targets) {
      const response = await request(
        `${url}/v1/admin/erasures`,
        token,
        { method: 'POST', body: JSON.stringify({ ...target, reason }) },
        // The log that was restored does not reach so far.
        [404],
      );
      counts[response.status === 404 ? 'absent' : 'erased']++;
    }
  }
  return counts;
}

/**
 * @param {string} url
 * @param {string} token
 * @param {RequestInit} init
 * @param {number[]} [accepted] statuses that are answers too
 */
async function request(url, token, init, accepted = []) {
  let response;
  try {
    response = await fetch(url, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(REQUEST_MS),
    });
  } catch (error) {
    throw new Failure(
      `${url} does not answer (${error instanceof Error ? error.message : error}).`,
    );
  }
  if (response.ok || accepted.includes(response.status)) return response;
  throw new Failure(`${url} answers ${response.status}: ${await response.text()}`);
}

async function main() {
  const {
    save: saved,
    apply: applied,
    url = 'http://127.0.0.1:8082',
    help,
  } = readArguments(
    {
      save: { type: 'string' },
      apply: { type: 'string' },
      url: { type: 'string' },
      help: { type: 'boolean' },
    },
    USAGE,
  );
  if (help) return;
  const token = process.env.TIDEMARK_TOKEN;
  if (!token) throw new Failure(`TIDEMARK_TOKEN is needed.\n\n${USAGE}`);
  if ((saved === undefined) === (applied === undefined)) {
    throw new Failure(`One of --save and --apply is needed.\n\n${USAGE}`);
  }
  if (saved) console.log(`${await save(url, token, fromCaller(saved))} records are saved.`);
  if (!applied) return;
  const { erased, absent } = await apply(url, token, fromCaller(applied));
  console.log(`${erased} erasures are recorded again; ${absent} name what this log does not have.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
