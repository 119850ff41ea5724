import '../../infra/launcher/node-version.mjs';
import { parseArgs } from 'node:util';
import { Failure, runMain } from '../../infra/launcher/failure.mjs';
import { dataFolder, reachableHost, servicePort } from '../../infra/launcher/settings.mjs';
import { makeToken } from '../../infra/launcher/token.mjs';
import { githubDeliveries, toCloudEvent } from './github-events.mjs';
import { Sender } from './sender.mjs';

/* `npm run feed`: real domain events against a running system. */

const USAGE = `npm run feed -- [--rate 50] [--count 1000] [--url http://127.0.0.1:8081] [--token <token>]

Emits the example webhooks of GitHub as events github.<event>.<action> on the topics
github.<owner>.<repository>.<event>.

  --rate   events a second (50)
  --count  how many, then it ends; without it, until Ctrl-C
  --url    where ingest is (this machine's)
  --token  a token with publish:github.> (made with the secret of \`npm start\`)`;

const TICK_MS = 50;
const PROGRESS_MS = 1000;
const RATE_MAX = 50_000;
const TOKEN_TTL_SECONDS = 24 * 3600;

async function main() {
  const { rate, count, url, token, help } = await readArguments();
  if (help) {
    console.log(USAGE);
    return;
  }
  const deliveries = githubDeliveries();
  // Fresh in every run, so that no run meets the events of another as duplicates.
  const run = Date.now().toString(36);
  const sender = new Sender(`${url}/v1/events`, token);
  let stopped = false;
  process.once('SIGINT', () => {
    stopped = true;
  });
  const startedMs = performance.now();
  const progress = setInterval(() => show(sender, startedMs), PROGRESS_MS);

  for (let made = 0; made < count && !stopped; ) {
    const due = Math.min(count, 1 + Math.floor(((performance.now() - startedMs) / 1000) * rate));
    for (; made < due && !stopped; made++) {
      const delivery = deliveries[made % deliveries.length];
      if (!delivery) break;
      const identity = { id: `${run}-${made}`, time: new Date().toISOString() };
      // Waits where too much is on its way: a slow system lowers the rate and piles up nothing.
      await sender.add(JSON.stringify(toCloudEvent(delivery, identity)));
    }
    sender.flush();
    if (made < count) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await sender.end(stopped);
  clearInterval(progress);
  show(sender, startedMs);
  process.stderr.write('\n');
  if (sender.counts.failed > 0) process.exitCode = 1;
}

/** @param {Sender} sender @param {number} startedMs */
function show({ counts, errors }, startedMs) {
  const seconds = (performance.now() - startedMs) / 1000;
  const { stored, duplicates, repeated, failed } = counts;
  const rate = Math.round((stored + duplicates) / seconds);
  const text = `${seconds.toFixed(0)} s: ${stored} stored (${rate}/s), ${duplicates} duplicates, ${repeated} repeated, ${failed} failed`;
  const reasons = [...errors].map(([reason, times]) => `  ${times} x ${reason}`).join('');
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}${reasons}`);
  else process.stderr.write(`${text}${reasons}\n`);
}

async function readArguments() {
  const { rate, count, url, token, help } = parse();
  const environment = process.env;
  const port = servicePort(environment, 'ingest');
  return {
    help,
    rate: toNumber('--rate', rate, RATE_MAX),
    count: count === undefined ? Number.POSITIVE_INFINITY : toNumber('--count', count),
    url: (url ?? `http://${reachableHost(environment)}:${port}`).replace(/\/$/, ''),
    token:
      token ??
      (help
        ? ''
        : await makeToken({
            environment,
            folder: dataFolder(environment),
            subject: 'feed',
            scope: 'publish:github.>',
            ttlSeconds: TOKEN_TTL_SECONDS,
          })),
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        rate: { type: 'string', default: '50' },
        count: { type: 'string' },
        url: { type: 'string' },
        token: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Failure(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  }
}

/** @param {string} name @param {string} text @param {number} [max] */
function toNumber(name, text, max = Number.MAX_SAFE_INTEGER) {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= max) return value;
  throw new Failure(`${name} ${text} is no number above 0${max < 1e6 ? ` and up to ${max}` : ''}.`);
}

await runMain(main);
