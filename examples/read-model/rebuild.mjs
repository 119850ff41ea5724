import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '../http.mjs';

const RETRY_MS = 200;

/**
 * Brings the model up to date from the history: NDJSON, one line for each event after the model's cursor.
 *
 * @param {import('../settings.mjs').Settings} settings
 * @param {string} topics patterns, separated by commas
 * @param {import('./model.mjs').ReadModel} model
 * @param {(text: string) => void} say
 */
export async function rebuild(settings, topics, model, say) {
  const { replay, token } = settings;
  while (true) {
    const query = new URLSearchParams({ topics, after: model.position.cursor });
    const answer = await request(`${replay}/v1/events?${query}`, {
      token,
      headers: { accept: 'application/x-ndjson' },
    });
    // The last line says whether this was all. An answer that was cut off is no harm: the model knows where it is.
    const isComplete = await take(answer, model, say).catch(falseWhereCutOff);
    if (isComplete) return;
    await sleep(RETRY_MS);
  }
}

/** @param {unknown} error @returns {false} */
function falseWhereCutOff(error) {
  if (error instanceof TypeError && error.message === 'terminated') return false;
  throw error;
}

/** @param {Response} answer @param {import('./model.mjs').ReadModel} model @param {(text: string) => void} say */
async function take(answer, model, say) {
  let isComplete = false;
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    /** @type {import('../follow.mjs').Event[]} */
    const events = [];
    let cursor = '';
    for (const line of lines) {
      const item = JSON.parse(line);
      if (item.event) events.push(item.event);
      if (item.gap)
        say(`the log no longer holds what was between ${item.gap.from} and ${item.gap.to}`);
      cursor = item.cursor ?? item.gap?.to ?? item.next;
      isComplete = item.complete ?? false;
    }
    // One transaction for each piece that arrives; meanwhile nothing more is read.
    if (lines.length > 0) model.apply(events, cursor);
    say(`${model.position.events} events`);
  }
  return isComplete;
}
