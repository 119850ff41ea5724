import { randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { toSubject } from '@tidemark/protocol';
import { serveCommands } from '../system/commands.ts';
import { nowUs } from '../wire/clock.ts';
import { layOut, stamp } from '../wire/event-layout.ts';

export interface RawLoadPlan {
  readonly natsUrl: string;
  readonly user: string;
  readonly password: string;
  /** Events that wait for their acknowledgement at one time. */
  readonly pending: number;
  readonly eventBytes: number;
  readonly topics: number;
  readonly seconds: number;
}

export interface RawLoadReport {
  readonly startedUs: number;
  readonly endedUs: number;
  /** All of them were acknowledged. */
  readonly events: number;
}

const TIMEOUT_MS = 30_000;
/** Publishes that begin together, as the events of one request do. */
const TOGETHER = 100;

/** A process that publishes straight to the stream with `nats.js`, with the headers that ingest sends. */
const commands = { load };
export type RawLoadCommands = typeof commands;

serveCommands(commands);

async function load(plan: RawLoadPlan): Promise<RawLoadReport> {
  const { natsUrl: servers, user, password: pass, eventBytes, topics, pending } = plan;
  const name = 'tidemark-ingest';
  const connection = await connect({
    servers,
    name,
    inboxPrefix: `_INBOX.${name}`,
    user,
    pass,
    noAsyncTraces: true,
  });
  const stream = jetstream(connection);
  const templates = Array.from({ length: topics }, (_, index) => ({
    subject: toSubject(`raw.${index}`),
    template: layOut(`raw.${index}`, eventBytes),
  }));
  const run = randomBytes(8).toString('base64url');
  const seal = randomBytes(16).toString('base64url');
  let counter = 0;
  const publish = () => {
    const { subject, template } = templates[counter % topics] as (typeof templates)[number];
    const all = headers();
    all.set('Nats-Msg-Id', `${run}-${String(++counter).padStart(10, '0')}`);
    all.set('tidemark-seal', seal);
    all.set('content-type', 'application/cloudevents+json');
    const event = stamp(template, { counter, timeUs: 0 });
    return stream.publish(subject, event, { headers: all, timeout: TIMEOUT_MS, retries: 0 });
  };
  const startedUs = nowUs();
  const endUs = startedUs + plan.seconds * 1e6;
  const repeat = async () => {
    while (nowUs() < endUs) await Promise.all(Array.from({ length: TOGETHER }, publish));
  };
  await Promise.all(Array.from({ length: pending / TOGETHER }, repeat));
  const endedUs = nowUs();
  await connection.close();
  return { startedUs, endedUs, events: counter };
}
