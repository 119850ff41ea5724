import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { startNatsServer } from '../support/nats-server.ts';
import { makeToken, type Service, startService } from '../support/services.ts';

/** Publishes waiting for their acknowledgement at once. */
const PIPELINE = 1000;
const POLL_MS = 20;

export interface Item {
  readonly cursor: string;
  readonly event: Readonly<Record<string, unknown>>;
}

export interface Page {
  readonly items: readonly Item[];
  readonly next: string;
  readonly complete: boolean;
  readonly gaps: readonly { from: string; to: string; reason: string }[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface Published {
  readonly topic: string;
  readonly event: Readonly<Record<string, unknown>>;
  readonly sequence: number;
}

/** A plain NATS client, as an outside publisher and an operator have one. */
export class OutsideClient {
  readonly connection: NatsConnection;

  static async connect(url: string): Promise<OutsideClient> {
    return new OutsideClient(
      await connect({
        servers: url,
        // Replay may answer requests of gateways only.
        inboxPrefix: '_INBOX.tidemark-gateway',
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
      }),
    );
  }

  constructor(connection: NatsConnection) {
    this.connection = connection;
  }

  /** Publishes numbered events one after another and waits until all are stored. */
  async publish(
    numbers: Iterable<number>,
    describe: (number: number) => {
      topic: string;
      type?: string;
      source?: string;
      text?: string;
    },
  ): Promise<Published[]> {
    const stream = jetstream(this.connection);
    const published: Published[] = [];
    let waiting: Promise<void>[] = [];
    for (const number of numbers) {
      const { topic, type = 'numbered', source = '/test', text } = describe(number);
      const data = { number, text };
      const event = { specversion: '1.0', id: `${number}`, source, type, topic, data };
      waiting.push(
        stream.publish(`tidemark.events.${topic}`, JSON.stringify(event)).then(({ seq }) => {
          published.push({ topic, event, sequence: seq });
        }),
      );
      if (waiting.length < PIPELINE) continue;
      await Promise.all(waiting);
      waiting = [];
    }
    await Promise.all(waiting);
    return published.sort((left, right) => left.sequence - right.sequence);
  }

  async manager() {
    return jetstreamManager(this.connection);
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}

export function startReplay(natsUrl: string, env: Record<string, string> = {}): Promise<Service> {
  return startService('replay', { natsUrl, env });
}

/** Asks with a token that may see everything, unless another scope is given. */
export async function ask(
  service: Service,
  path: string,
  { scope = 'history:>', accept = 'application/json' } = {},
): Promise<Answer> {
  const answer = await fetch(service.url + path, {
    headers: { authorization: `Bearer ${await makeToken(scope)}`, accept },
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

export async function askPage(service: Service, path: string): Promise<Page> {
  const { status, text } = await ask(service, path);
  if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
  return JSON.parse(text) as Page;
}

/** The whole range as NDJSON, one parsed line each. */
export async function askLines(service: Service, path: string): Promise<Record<string, unknown>[]> {
  const { text } = await ask(service, path, { accept: 'application/x-ndjson' });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export async function metric(service: Service, name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text();
  return Number(new RegExp(`^(?:tidemark_)?${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
}

export async function untilProjected(service: Service, sequence: number): Promise<void> {
  await until(async () => (await metric(service, 'projection_position')) >= sequence);
}

/** Polls until the condition holds; the test's own time limit ends it. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

export function sequenceOf({ cursor }: Item): number {
  return Number(cursor.split('-')[1]);
}

export function range(from: number, through: number): number[] {
  return Array.from({ length: through - from + 1 }, (_, index) => from + index);
}

/** What the tests of one replay service work with. */
export interface ReplayAlone {
  readonly client: OutsideClient;
  readonly replay: Service;
  readonly natsUrl: string;
  readonly stop: () => Promise<void>;
}

/** Starts NATS, a client of it, and a replay service. */
export async function startReplayAlone(
  env: Readonly<Record<string, string>>,
): Promise<ReplayAlone> {
  const nats = await startNatsServer();
  const client = await OutsideClient.connect(nats.url);
  const replay = await startReplay(nats.url, env);
  const stop = async () => {
    await replay.stop();
    await client.close();
    await nats.stop();
  };
  return { client, replay, natsUrl: nats.url, stop };
}
