import '../launcher/node-version.mjs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { readArguments } from '../backup/arguments.mjs';
import { Failure, runMain } from '../launcher/failure.mjs';

const USAGE = `npm run replay:rebuild -- [--url <url>]

Makes a new archive beside that of a running replay service, and exchanges the two. What the stream still holds is read
from it, what has left it is copied from the present archive, and every index is written anew. The service answers
meanwhile, and gives the same answers afterwards. Ctrl-C cancels; nothing has changed then.

  --url    the replay service, its admin port where it has one; http://127.0.0.1:8082 if absent

TIDEMARK_TOKEN holds a token with the scope admin.

Exit codes: 0 rebuilt, 1 failed, 130 cancelled.`;

const POLL_MS = 250;
const SHOWN_MS = 2000;
const REQUEST_MS = 10_000;
const CANCELLED = 130;

/**
 * @typedef {object} Status
 * @property {'running' | 'complete' | 'failed' | 'cancelled'} state
 * @property {number} done
 * @property {number} total
 * @property {number} unreadable
 * @property {string} [reason]
 */

/**
 * @param {string} url
 * @param {string} token
 * @param {'GET' | 'POST' | 'DELETE'} method
 * @returns {Promise<Status>}
 */
async function ask(url, token, method) {
  let response;
  try {
    response = await fetch(`${url}/v1/admin/rebuild`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(REQUEST_MS),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new Failure(`${url} does not answer (${reason}).`);
  }
  if (response.ok) return response.json();
  const text = await response.text();
  throw new Failure(`${url} answers ${response.status}: ${messageOf(text)}`);
}

/** @param {string} text */
function messageOf(text) {
  try {
    return JSON.parse(text).message ?? text;
  } catch {
    return text;
  }
}

/** @param {Status} status @param {number} startMs */
function describe({ done, total }, startMs) {
  const seconds = (performance.now() - startMs) / 1000;
  const left = done > 0 ? Math.ceil(((total - done) * seconds) / done) : undefined;
  const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
  const more = left === undefined ? '' : `, ${Math.round(done / seconds)}/s, some ${left} s left`;
  return `${done} of ${total} events (${percent} %)${more}`;
}

/** @param {string} url @param {string} token */
async function rebuild(url, token) {
  const startMs = performance.now();
  let status = await ask(url, token, 'POST');
  process.on('SIGINT', async () => {
    await ask(url, token, 'DELETE').catch((error) => console.error(error.message));
    process.exitCode = CANCELLED;
  });
  for (let shownMs = startMs; status.state === 'running'; status = await ask(url, token, 'GET')) {
    if (performance.now() - shownMs >= SHOWN_MS) {
      shownMs = performance.now();
      console.log(`  ${describe(status, startMs)}`);
    }
    await sleep(POLL_MS);
  }
  const { state, total, unreadable, reason } = status;
  if (state !== 'complete') {
    const message = `The archive stays as it is: ${reason}`;
    if (state === 'failed') throw new Failure(message);
    console.log(message);
    process.exitCode = CANCELLED;
    return;
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`The archive is rebuilt: ${total} events of the log in ${seconds} s.`);
  if (unreadable > 0) console.log(`${unreadable} events were unreadable, and are missing now.`);
}

async function main() {
  const { url = 'http://127.0.0.1:8082', help } = readArguments(
    { url: { type: 'string' }, help: { type: 'boolean' } },
    USAGE,
  );
  if (help) return;
  const token = process.env.TIDEMARK_TOKEN;
  if (!token) throw new Failure(`TIDEMARK_TOKEN is needed.\n\n${USAGE}`);
  await rebuild(url, token);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
