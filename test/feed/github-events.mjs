import { createRequire } from 'node:module';

/**
 * @typedef {object} Delivery a webhook as GitHub sends it
 * @property {string} event its name, such as `issues`
 * @property {Readonly<Record<string, any>>} payload
 */

/** A token of a topic may hold these; anything else becomes a dash. */
const NOT_IN_TOKENS = /[^A-Za-z0-9_-]/g;

/** The token where a webhook belongs to no repository, or to nobody. */
const NONE = '_';

/** @type {readonly Delivery[] | undefined} */
let examples;

/** Every payload of `@octokit/webhooks-examples`, in its order. */
export function githubDeliveries() {
  examples ??= createRequire(import.meta.url)('@octokit/webhooks-examples').flatMap(
    (/** @type {{ name: string, examples: Delivery['payload'][] }} */ { name, examples }) =>
      examples.map((payload) => ({ event: name, payload })),
  );
  return /** @type {readonly Delivery[]} */ (examples);
}

/**
 * The CloudEvent of a webhook: `github.<event>.<action>` on the topic
 * `github.<owner>.<repository>.<event>`.
 *
 * @param {Delivery} delivery
 * @param {{ id: string, time: string }} identity
 */
export function toCloudEvent({ event, payload }, { id, time }) {
  const owner = ownerOf(payload);
  const repository = payload.repository?.name;
  const action = payload.action;
  const path = [owner, repository].filter(isText).map(encodeURIComponent).join('/');
  return {
    specversion: /** @type {const} */ ('1.0'),
    id,
    source: `https://github.com/${path}`,
    type: ['github', event, action].filter(isText).join('.'),
    topic: ['github', owner, repository, event].map(toToken).join('.'),
    time,
    datacontenttype: 'application/json',
    data: payload,
  };
}

/** Webhooks of an app or an organization name no repository. @param {Delivery['payload']} payload */
function ownerOf(payload) {
  return (
    payload.repository?.owner?.login ??
    payload.organization?.login ??
    payload.installation?.account?.login ??
    payload.sender?.login
  );
}

/** @param {unknown} value */
function toToken(value) {
  return isText(value) ? value.replace(NOT_IN_TOKENS, '-') : NONE;
}

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === 'string' && value !== '';
}
