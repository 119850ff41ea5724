import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { connect } from '@tidemark/client';
import { fileStore } from '@tidemark/client/stores/file';
import { readSettings } from '../../../../examples/settings.mjs';
import { runMain } from '../../../../infra/launcher/failure.mjs';

/*
 * `npm run example:worker`: a service that handles each event of some topics. Its cursor is in a file, and moves when it has
 * finished with an event: killed at any time and started again, it loses none, and handles the last ones again.
 */

async function main() {
  const { topics, folder } = readArguments();
  const { gateway, token } = await readSettings(`subscribe:${topics}`);
  await mkdir(folder, { recursive: true });
  const tidemark = connect({ url: gateway, token, store: fileStore(`${folder}/cursors.json`) });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => tidemark.close());
  const events = tidemark.subscribe(topics, { after: 'earliest', name: 'worker' });
  events.on('gap', ({ reason }) => console.error(`Some events are gone: ${reason}.`));
  await events.each(handle);
}

/** @param {import('@tidemark/client').CloudEvent} event @param {string} cursor */
async function handle({ topic, id, data }, cursor) {
  console.log(`${cursor} ${topic} ${id} ${JSON.stringify(data)}`);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      topics: { type: 'string', default: 'orders.>' },
      folder: { type: 'string', default: 'data/example-worker' },
    },
  });
  return values;
}

await runMain(main);
