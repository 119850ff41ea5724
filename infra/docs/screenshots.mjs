import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { ROOT } from '../launcher/checkout.mjs';
import { Failure, runMain } from '../launcher/failure.mjs';
import { dataFolder, reachableHost, servicePort } from '../launcher/settings.mjs';
import { makeToken } from '../launcher/token.mjs';

/*
 * Takes the pictures of README.md: the console, beside a system that `npm start` runs and that has something to do.
 *   node infra/docs/screenshots.mjs [seconds of load before the pictures, 90 if absent]
 * The load is some shoppers and workers, one of whom does not read. CHROMIUM names the browser.
 */

const FOLDER = join(ROOT, 'infra', 'docs', 'pictures');
const WINDOW = { width: 1280, height: 800 };
/** Of a picture, in bytes: a page with several of them has to load on a slow line. */
const BYTES_MAX = 250_000;

const USERS = ['alice', 'bob', 'carla', 'deniz', 'emeka', 'fatima', 'gustav', 'hana'];
const CONNECTIONS_OF_EACH = 12;
/** Events at a time, and how often, in ms. */
const BATCH = 12;
const BATCH_EVERY_MS = 60;
/** Enough to fill the socket of who does not read. */
const NOTE = 'left at the door. '.repeat(120);

const WARM_UP_MS = 20_000;

/** Shorter than the time after which a gateway cuts off who does not read. */
const SLEEPER_MS = 25_000;

const environment = process.env;
const folder = dataFolder(environment);

/** @param {'gateway' | 'ingest'} service */
function urlOf(service) {
  return `http://${reachableHost(environment)}:${servicePort(environment, service)}`;
}

/** @param {string} subject @param {string} scope */
function tokenOf(subject, scope) {
  return makeToken({ environment, folder, subject, scope, ttlSeconds: 3600 });
}

/** A sampled W3C trace context. */
function newTraceparent() {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}

async function main() {
  const seconds = Number(process.argv[2] ?? 90);
  const operator = await tokenOf('operator', 'admin subscribe:> publish:> history:> inbox:>');
  await connectUsers();
  await connectSleeper();
  const load = new AbortController();
  const publishing = publish(operator, load.signal);
  // The first events after a start meet code that has not run yet.
  await sleep(WARM_UP_MS);
  await inBrowser(operator, async (open) => {
    // The lines are of what the page has seen, so it looks on from the start.
    const now = await open('dark', 'now');
    await sleep(seconds * 1000);
    await keep(now, 'console-now');
    const cursor = await publishOne(operator);
    // Spans are exported some seconds later.
    await sleep(8000);
    await keep(await open('light', `event/${cursor}`), 'console-event');
  });
  load.abort();
  await publishing;
}

async function connectUsers() {
  for (const user of USERS) {
    const token = await tokenOf(user, 'subscribe:>');
    for (let index = 0; index < CONNECTIONS_OF_EACH; index++) {
      const url = `${urlOf('gateway').replace('http', 'ws')}/v1/ws`;
      const socket = new WebSocket(url, ['tidemark.v1', `bearer.${token}`]);
      const topics = index % 3 === 0 ? ['orders.*', `user.${user}.>`] : [`prices.${index}`];
      socket.onopen = () =>
        socket.send(JSON.stringify({ type: 'subscribe', id: 'page', topics, after: 'latest' }));
    }
  }
}

/** Asks for much and reads nothing, until the gateway cuts it off; then it comes back. */
async function connectSleeper() {
  const token = await tokenOf('tablet-7', 'subscribe:>');
  const { hostname, port, host } = new URL(urlOf('gateway'));
  const socket = connect(Number(port), hostname);
  const path = '/v1/sse?topics=orders.*,user.*.*';
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  socket.pause();
  socket.on('error', () => undefined);
  // A socket that does not read does not notice its end.
  setTimeout(() => {
    socket.destroy();
    connectSleeper();
  }, SLEEPER_MS).unref();
}

/** @param {string} token @param {AbortSignal} signal */
async function publish(token, signal) {
  for (let number = 0; !signal.aborted; number++) {
    const size = Math.round(BATCH * (1 + 0.6 * Math.sin(number / 90)));
    const events = Array.from({ length: size }, (_, index) => newEvent(number * 100 + index));
    await send(token, 'application/cloudevents-batch+json', events);
    await sleep(BATCH_EVERY_MS);
  }
}

/** @param {number} number */
function newEvent(number) {
  const user = USERS[number % USERS.length];
  const [type, topic, data] =
    number % 4 === 0
      ? ['price.changed', `prices.${number % CONNECTIONS_OF_EACH}`, { cents: number % 900 }]
      : number % 9 === 0
        ? ['parcel.arrived', `user.${user}.inbox`, { text: NOTE }]
        : ['order.changed', `orders.${number % 500}`, { state: 'packed', note: NOTE }];
  return { specversion: '1.0', id: `${process.pid}-${number}`, source: '/shop', type, topic, data };
}

/** @param {string} token @returns {Promise<string>} its cursor */
async function publishOne(token) {
  const event = {
    type: 'order.paid',
    topic: 'orders.42',
    source: '/shop/checkout',
    data: { order: 42, total: { amount: '89.90', currency: 'EUR' }, items: ['lamp', 'bulb'] },
  };
  const answer = await send(token, 'application/json', event, { traceparent: newTraceparent() });
  return answer.cursor;
}

/** @param {string} token @param {string} type @param {unknown} body @param {Record<string, string>} [more] */
async function send(token, type, body, more = {}) {
  const answer = await fetch(`${urlOf('ingest')}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type, ...more },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Failure(`Ingest answers ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

/** @typedef {import('playwright-core').Page} Page */

/**
 * @param {string} token
 * @param {(open: (scheme: 'dark' | 'light', name: string) => Promise<Page>) => Promise<void>} run
 */
async function inBrowser(token, run) {
  const executablePath = environment.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    await run(async (scheme, name) => {
      const context = await browser.newContext({ colorScheme: scheme, viewport: WINDOW });
      const page = await context.newPage();
      await page.goto(`${urlOf('gateway')}/console/#token=${token}`);
      await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();
      await page.goto(`${urlOf('gateway')}/console/#/${name}`);
      return page;
    });
  } finally {
    await browser.close();
  }
}

/** @param {Page} page @param {string} name */
async function keep(page, name) {
  await sleep(1500);
  const picture = await page.screenshot();
  if (picture.length > BYTES_MAX) throw new Failure(`${name} has ${picture.length} bytes.`);
  writeFileSync(join(FOLDER, `${name}.png`), picture);
  console.log(`${name}.png: ${picture.length} bytes`);
}

await runMain(main);
// Connections of the load are still open.
process.exit();
