import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { createInbox } from '@nats-io/transport-node';
import { Failure } from '../launcher/failure.mjs';
import { askJetStream, checked } from './jetstream.mjs';
import { megabytes, startProgress } from './progress.mjs';

/** @typedef {import('./jetstream.mjs').NatsConnection} NatsConnection */

/** Less than the largest message of NATS by default, which is 1 MB. */
const CHUNK_BYTES = 128 * 1024;

/** Chunks that a restore sends ahead of the server's acknowledgements. */
const CHUNKS_AHEAD = 16;

/** How long a server may send nothing. */
const STALL_MS = 60_000;

/** How long a server may take to open what it has received. */
const OPEN_MS = 30 * 60_000;

/**
 * The snapshot of a stream in a folder.
 *
 * @typedef {object} StreamSnapshot
 * @property {string} file its name in the folder
 * @property {number} bytes
 * @property {string} sha256
 * @property {string} created when the stream was created
 * @property {import('./jetstream.mjs').StreamConfig} config
 * @property {import('./jetstream.mjs').StreamState} state
 */

/**
 * Writes a snapshot of a stream into a file, in the format of the server. The stream goes on meanwhile;
 * the snapshot has what it held when it began.
 *
 * @param {NatsConnection} connection
 * @param {string} stream
 * @param {string} path
 * @returns {Promise<Omit<StreamSnapshot, 'file' | 'created'>>}
 */
export async function takeSnapshot(connection, stream, path) {
  const progress = startProgress(stream);
  const inbox = createInbox();
  const chunks = connection.subscribe(inbox);
  const request = { deliver_subject: inbox, no_consumers: true, chunk_size: CHUNK_BYTES };
  const answer = await askJetStream(connection, `STREAM.SNAPSHOT.${stream}`, request);
  if (!answer) throw new Failure(`There is no stream ${stream}.`);
  const { config, state } = answer;
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx');
  try {
    for await (const chunk of untilEnd(chunks, stream)) {
      hash.update(chunk);
      await file.write(chunk);
      bytes += chunk.length;
      progress.show(`${megabytes(bytes)} written, of a stream of ${megabytes(state.bytes)}`);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  progress.end(`${state.messages} messages up to ${state.last_seq}, ${megabytes(bytes)}`);
  return { bytes, sha256: hash.digest('hex'), config: withoutServerMetadata(config), state };
}

/**
 * The chunks of a snapshot. Each is acknowledged when the next one is asked for.
 *
 * @param {import('@nats-io/transport-node').Subscription} chunks
 * @param {string} stream
 */
async function* untilEnd(chunks, stream) {
  const stall = setTimeout(() => chunks.unsubscribe(), STALL_MS);
  try {
    for await (const message of chunks) {
      stall.refresh();
      if (message.data.length === 0) {
        const { code = 0, description = '' } = message.headers ?? {};
        if (code >= 400)
          throw new Failure(`NATS gave up the snapshot of ${stream}: ${description}.`);
        return;
      }
      yield message.data;
      message.respond();
    }
  } finally {
    clearTimeout(stall);
    chunks.unsubscribe();
  }
  throw new Failure(`NATS sent nothing more of the snapshot of ${stream}.`);
}

/** What the server has added to the configuration, and adds again. @param {StreamSnapshot['config']} config */
function withoutServerMetadata({ metadata = {}, ...config }) {
  const own = Object.entries(metadata).filter(([name]) => !name.startsWith('_nats.'));
  return { ...config, metadata: Object.fromEntries(own) };
}

/**
 * Makes a stream of a snapshot. There must be no stream of its name.
 *
 * @param {NatsConnection} connection
 * @param {Pick<StreamSnapshot, 'config' | 'state' | 'bytes'>} snapshot `config`: what the stream gets
 * @param {string} path
 * @returns {Promise<import('./jetstream.mjs').StreamInfo>}
 */
export async function restoreSnapshot(connection, { config, state, bytes }, path) {
  const request = `STREAM.RESTORE.${config.name}`;
  const progress = startProgress(config.name);
  const { deliver_subject: target } = await askJetStream(connection, request, { config, state });
  /** @type {Promise<unknown>[]} */
  const waiting = [];
  const file = await open(path);
  let sent = 0;
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead === 0) break;
      waiting.push(send(connection, target, buffer.subarray(0, bytesRead)));
      if (waiting.length >= CHUNKS_AHEAD) await waiting.shift();
      sent += bytesRead;
      progress.show(`${megabytes(sent)} of ${megabytes(bytes)} sent`);
    }
  } finally {
    await file.close();
    await Promise.allSettled(waiting);
  }
  await Promise.all(waiting);
  const reply = await connection.request(target, '', { timeout: OPEN_MS });
  const info = checked(request, reply.json());
  progress.end(`${info.state.messages} messages up to ${info.state.last_seq}`);
  return info;
}

/** @param {NatsConnection} connection @param {string} target @param {Uint8Array} chunk */
async function send(connection, target, chunk) {
  const reply = await connection.request(target, chunk, { timeout: STALL_MS });
  // An answer without a body takes the chunk.
  if (reply.data.length > 0) checked('the restore', reply.json());
}
