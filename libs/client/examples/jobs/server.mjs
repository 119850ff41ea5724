import { randomBytes } from 'node:crypto';
import { connect } from '@tidemark/client';

const STEPS = 400;
const STEP_MS = 5;

/**
 * Runs jobs that say after each step how far they are.
 *
 * @param {import('../../../../examples/settings.mjs').Settings} settings
 */
export function start({ gateway, ingest, token }) {
  const tidemark = connect({ url: gateway, ingestUrl: ingest, token });
  let isOver = false;

  async function run() {
    const topic = `example.jobs.job-${randomBytes(2).toString('hex')}`;
    for (let step = 1; step <= STEPS && !isOver; step++) {
      const event = { type: 'job.progress', topic, data: { percent: (100 * step) / STEPS } };
      await tidemark.publish(event);
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
  }

  return {
    /** @param {unknown} _request @param {import('node:http').ServerResponse} response */
    handle: (_request, response) => {
      run().catch((error) => console.error(error.message));
      response.writeHead(202).end();
    },
    stop: () => {
      isOver = true;
      tidemark.close();
    },
  };
}
