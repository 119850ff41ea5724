import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Failure, runMain } from '../../infra/launcher/failure.mjs';
import { readSettings } from '../settings.mjs';
import { BackEnd } from './back-end.mjs';
import { OrderPage } from './page.mjs';

/*
 * `npm run example:order-page`: pages that load while orders change all the time. Each ends up with exactly what the
 * back end has. With `-- --state-first` they load in the wrong order, and do not.
 */

const PAGES = 20;
/** In which all pages begin to load. */
const LOADING_MS = 1500;
const ORDERS = 10;
/** Between two changes of one order, and between the two requests of a page, at most. */
const CHANGE_EVERY_MS = 20;
const PAUSE_MS = 60;
/** How long a page may take until it shows the last change. */
const CATCH_UP_MS = 10_000;

async function main() {
  const { 'state-first': stateFirst } = readArguments();
  // Each run has topics of its own, because the back end forgets its state when it ends.
  const topic = `example-orders.${randomBytes(4).toString('hex')}`;
  const settings = await readSettings('subscribe:example-orders.> publish:example-orders.>');
  const backEnd = new BackEnd(settings, topic);
  const stateUrl = await backEnd.listen();
  const pages = Array.from(
    { length: PAGES },
    () => new OrderPage({ settings, stateUrl, topic, pauseMs: PAUSE_MS, stateFirst }),
  );
  const loading = new AbortController();
  try {
    const load = writeLoad(backEnd, loading.signal);
    const shown = pages.map(async (page) => {
      await sleep(Math.random() * LOADING_MS);
      await page.show();
    });
    await Promise.race([load, ...shown, sleep(LOADING_MS + 2 * PAUSE_MS)]);
    loading.abort();
    await load;
    // Every page that has seen this one has seen all that came before.
    const last = await backEnd.change('last', 1);
    const deadline = Date.now() + CATCH_UP_MS;
    while (!pages.every(({ cursor }) => cursor === last) && Date.now() < deadline) {
      await Promise.race([...shown, sleep(10)]);
    }
  } finally {
    loading.abort();
    for (const page of pages) page.close();
    backEnd.close();
  }
  report(backEnd, pages);
}

/** Changes all orders until the end is signalled. @param {BackEnd} backEnd @param {AbortSignal} signal */
async function writeLoad(backEnd, signal) {
  await Promise.all(
    Array.from({ length: ORDERS }, async (_, n) => {
      while (!signal.aborted) {
        await backEnd.change(`order-${n}`, 1 + Math.floor(Math.random() * 100));
        await sleep(Math.random() * CHANGE_EVERY_MS);
      }
    }),
  );
}

/** @param {BackEnd} backEnd @param {readonly OrderPage[]} pages */
function report(backEnd, pages) {
  const wrong = pages.filter(({ orders }) => print(orders) !== print(backEnd.orders)).length;
  /** @param {(counts: OrderPage['counts']) => number} count */
  const sum = (count) => pages.reduce((total, { counts }) => total + count(counts), 0);
  console.log(`${PAGES} pages were loaded while ${backEnd.changes} changes were made.
${PAGES - wrong} pages show exactly what the back end has, ${wrong} do not.
${sum(({ applied }) => applied)} changes came live and were applied, ${sum(({ missed }) => missed)} were missed.
${sum(({ alreadyThere }) => alreadyThere)} came although the state had them already, and were not applied again.`);
  if (wrong > 0) process.exitCode = 1;
}

/** @param {ReadonlyMap<string, object>} orders */
function print(orders) {
  return JSON.stringify([...orders].sort(([left], [right]) => (left < right ? -1 : 1)));
}

function readArguments() {
  try {
    return parseArgs({ options: { 'state-first': { type: 'boolean', default: false } } }).values;
  } catch (error) {
    throw new Failure(`${error instanceof Error ? error.message : error}`);
  }
}

await runMain(main);
