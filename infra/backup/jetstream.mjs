import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { ConfigurationError, readReplayConfiguration } from '@tidemark/config';
import { STREAM_NAME } from '@tidemark/nats';
import { Failure } from '../launcher/failure.mjs';
import { OPERATOR, operatorFile } from '../launcher/nats-users.mjs';
import { dataFolder } from '../launcher/settings.mjs';

/** @typedef {import('@nats-io/transport-node').NatsConnection} NatsConnection */

/**
 * What NATS says about a stream, as far as it matters here.
 *
 * @typedef {object} StreamInfo
 * @property {string} created
 * @property {StreamConfig} config
 * @property {StreamState} state
 *
 * @typedef {{ name: string, num_replicas: number, metadata?: Record<string, string>, mirror?: object }
 *   & Record<string, unknown>} StreamConfig
 * @typedef {{ messages: number, bytes: number, first_seq: number, last_seq: number }} StreamState
 */

/** The stream of the events. */
export const EVENTS = STREAM_NAME;
/** The stream behind the bucket of the revocations. */
export const REVOCATIONS = 'KV_TIDEMARK_REVOCATIONS';

const CONNECT_TIMEOUT_MS = 5000;
const API_TIMEOUT_MS = 10_000;
const STREAM_NOT_FOUND = 10059;

/** Every replay service announces itself each second. */
const ANNOUNCE_WAIT_MS = 1500;

/**
 * Connects to the NATS of the environment, with the variables that the services have.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<NatsConnection>}
 */
export async function connectToNats(environment) {
  const { natsUrl, natsUser, natsPassword, natsTlsCa } = configuration(asOperator(environment));
  const servers = natsUrl.split(',').map((server) => server.trim());
  try {
    return await connect({
      servers,
      name: 'tidemark-operator',
      timeout: CONNECT_TIMEOUT_MS,
      reconnect: false,
      ...(natsUser !== '' && { user: natsUser, pass: natsPassword }),
      ...(natsTlsCa !== '' && { tls: { ca: readFileSync(natsTlsCa, 'utf8') } }),
      ...(natsTlsCa === '' && natsUrl.includes('tls://') && { tls: {} }),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    const hosts = servers.map((server) => server.replace(/\/\/[^\s]*@/, '//'));
    throw new Failure(
      `NATS cannot be reached at ${hosts} (${reason}); NATS_URL, TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD name a server and a user like tidemark-operator.`,
    );
  }
}

/**
 * Adds the operator of the NATS that `npm start` runs, where the environment names no other NATS.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
function asOperator(environment) {
  if (environment.NATS_URL || environment.TIDEMARK_NATS_USER) return environment;
  const file = operatorFile(dataFolder(environment));
  if (!existsSync(file)) return environment;
  return { ...environment, TIDEMARK_NATS_USER: OPERATOR, TIDEMARK_NATS_PASSWORD_FILE: file };
}

/** @param {NodeJS.ProcessEnv} environment */
function configuration(environment) {
  try {
    return readReplayConfiguration(environment);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new Failure(error.message);
    throw error;
  }
}

/**
 * Sends a request to the API of JetStream.
 *
 * @param {NatsConnection} connection
 * @param {string} request such as `STREAM.INFO.<stream>`
 * @param {object} [body]
 * @param {string} [api] that of another JetStream domain
 * @returns {Promise<any>} its answer; `undefined` where there is no such stream
 */
export async function askJetStream(connection, request, body, api = '$JS.API') {
  let answer;
  try {
    const payload = body ? JSON.stringify(body) : '';
    const reply = await connection.request(`${api}.${request}`, payload, {
      timeout: API_TIMEOUT_MS,
    });
    answer = reply.json();
  } catch (error) {
    throw new Failure(
      `JetStream does not answer ${request} (${error instanceof Error ? error.message : error}); the user needs the permissions of tidemark-operator, and a cluster needs a leader.`,
    );
  }
  return checked(request, answer);
}

/** @param {string} request @param {any} answer */
export function checked(request, answer) {
  if (!answer.error) return answer;
  if (answer.error.err_code === STREAM_NOT_FOUND) return undefined;
  throw new Failure(`NATS refuses ${request}: ${answer.error.description}.`);
}

/**
 * @param {NatsConnection} connection
 * @param {string} stream
 * @param {string} [api] that of another JetStream domain
 * @returns {Promise<StreamInfo | undefined>}
 */
export function streamInfo(connection, stream, api) {
  return askJetStream(connection, `STREAM.INFO.${stream}`, undefined, api);
}

/**
 * The last sequence that holds a message. A snapshot that nats-server 2.12.0 made under load can lack the
 * message at the end that it names.
 *
 * @param {NatsConnection} connection
 * @param {StreamInfo} info
 * @returns {Promise<number>}
 */
export async function lastSequence(connection, { config, state }) {
  if (state.messages === 0) return state.last_seq;
  const request = `STREAM.MSG.GET.${config.name}`;
  const { message } = await askJetStream(connection, request, { last_by_subj: '>' });
  return message.seq;
}

/** @param {NatsConnection} connection @param {StreamConfig} config @returns {Promise<StreamInfo>} */
export async function updateStream(connection, config) {
  const { metadata = {} } = config;
  const own = Object.entries(metadata).filter(([name]) => !name.startsWith('_nats.'));
  const request = `STREAM.UPDATE.${config.name}`;
  return askJetStream(connection, request, { ...config, metadata: Object.fromEntries(own) });
}

/**
 * Finds out whether a replay service runs, which would create the stream while it is restored.
 *
 * @param {NatsConnection} connection
 */
export async function refuseRunningReplay(connection) {
  let running = false;
  const subscription = connection.subscribe('tidemark.archives.announce', {
    callback: (_error, message) => {
      if (message && !message.string().includes('"leaving":true')) running = true;
    },
  });
  connection.publish('tidemark.archives.census');
  await sleep(ANNOUNCE_WAIT_MS);
  subscription.unsubscribe();
  if (running) throw new Failure('A replay service is running; stop all of them first.');
}
