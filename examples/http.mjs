import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../infra/launcher/failure.mjs';

const RETRY_MS = 200;
const ATTEMPTS_MAX = 50;

/**
 * Sends a request, and again where a later one may succeed: no answer, 429 and 5xx.
 *
 * @param {string} url
 * @param {RequestInit & { token?: string }} options
 * @returns {Promise<Response>} an answer below 400
 */
export async function request(url, { token, headers, ...options }) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(url, {
      ...options,
      headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) },
    }).catch(() => undefined);
    if (answer?.ok) return answer;
    const reason = answer ? `${answer.status} ${await answer.text()}` : 'nothing answers';
    const final = answer && answer.status < 500 && answer.status !== 429;
    if (final || attempt >= ATTEMPTS_MAX || options.signal?.aborted) {
      throw new Failure(`${url}: ${reason}. (\`npm start\` starts the services.)`);
    }
    await sleep(RETRY_MS);
  }
}

/**
 * The same, for an answer that is JSON.
 *
 * @param {string} url
 * @param {RequestInit & { token?: string }} options
 * @returns {Promise<any>}
 */
export async function requestJson(url, options) {
  return (await request(url, options)).json();
}
