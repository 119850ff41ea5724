import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Failure, runMain } from '../../infra/launcher/failure.mjs';
import { dataFolder } from '../../infra/launcher/settings.mjs';
import { follow } from '../follow.mjs';
import { readSettings } from '../settings.mjs';
import { ReadModel } from './model.mjs';
import { rebuild } from './rebuild.mjs';

/*
 * `npm run example:read-model`: a service that builds its own model of all events, from the first one that the log
 * holds, and keeps it up to date. Kill it at any time and start it again.
 */

const COME_BACK_MS = 1000;

async function main() {
  const { topics, file } = readArguments();
  const settings = await readSettings('history:> subscribe:>');
  mkdirSync(dirname(file), { recursive: true });
  const model = new ReadModel(file);
  /** @param {string} text */
  const say = (text) => console.log(text);
  say(`The model is in ${file}, and goes on from ${model.position.cursor}.`);

  // After a cut it reads the history again, which is the faster way when much was missed.
  while (true) {
    await rebuild(settings, topics, model, say);
    await follow({
      gateway: settings.gateway,
      token: settings.token,
      topics: topics.split(','),
      after: model.position.cursor,
      onMessage: (message) => receive(message, model, say),
    });
    await sleep(Math.random() * COME_BACK_MS);
  }
}

/** @param {import('../follow.mjs').Message} message @param {ReadModel} model @param {(text: string) => void} say */
function receive(message, model, say) {
  if (message.type === 'gap') {
    say(`the log no longer holds what was between ${message.from} and ${message.to}`);
    model.apply([], message.to);
  } else if (message.type === 'event') {
    model.apply([message.event], message.cursor);
    say(`${model.position.events} events`);
  } else if (message.cursor) {
    // Also without an event: so the model comes back at a place that the log still holds.
    model.apply([], message.cursor);
  }
  if (message.type === 'live') say('live');
  return true;
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        topics: { type: 'string', default: '>' },
        file: { type: 'string', default: join(dataFolder(process.env), 'read-model.db') },
      },
    }).values;
  } catch (error) {
    throw new Failure(`${error instanceof Error ? error.message : error}`);
  }
}

await runMain(main);
