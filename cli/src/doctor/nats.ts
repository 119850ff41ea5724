import { loadProgram } from '../base/checkout.ts';
import { messageOf } from '../base/errors.ts';
import { formatBytes, formatCount } from '../output/format.ts';
import { judgeClock } from './clock.ts';
import { type Finding, fault, note, ok } from './finding.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What is used of a connection to NATS. */
interface Connection {
  readonly info?: { readonly version: string; readonly max_payload: number };
  close(): Promise<void>;
}

interface Replica {
  readonly name: string;
  readonly current: boolean;
  readonly offline?: boolean;
  readonly lag?: number;
}

interface StreamInfo {
  readonly ts?: string;
  readonly config: Readonly<Record<string, unknown>> & { readonly num_replicas: number };
  readonly state: { readonly messages: number; readonly bytes: number };
  readonly cluster?: { readonly leader?: string; readonly replicas?: readonly Replica[] };
}

interface AccountInfo {
  readonly storage: number;
  readonly limits: { readonly max_storage: number };
}

interface JetStream {
  readonly EVENTS: string;
  readonly REVOCATIONS: string;
  connectToNats(environment: Environment): Promise<Connection>;
  askJetStream<T>(connection: Connection, request: string): Promise<T | undefined>;
}

/** Part of a limit from which there is little left. */
const FULL = 0.9;

/** Events that a copy may be behind without a word. */
const LAG = 1000;

/** Looks at NATS with the user of an operator, as far as that user may. */
export async function checkNats(environment: Environment): Promise<Finding[]> {
  const jetStream = await loadProgram<JetStream>('infra/backup/jetstream.mjs');
  let connection: Connection;
  try {
    connection = await jetStream.connectToNats(environment);
  } catch (error) {
    const advice =
      'What only NATS can tell was not looked at: versions, limits, replicas, the configuration of the stream.';
    return [fault('nats', messageOf(error), advice)];
  }
  try {
    return [
      ...(await checkServer(connection)),
      ...(await checkAccount(jetStream, connection)),
      ...(await checkStreams(jetStream, connection, environment)),
    ];
  } catch (error) {
    return [
      fault(
        'jetstream',
        messageOf(error),
        'A cluster needs a leader, and the user the permissions of tidemark-operator.',
      ),
    ];
  } finally {
    await connection.close();
  }
}

async function checkServer({ info }: Connection): Promise<Finding[]> {
  const { natsServerFault } = await import('@tidemark/config');
  const version = info?.version ?? '';
  const wrong = natsServerFault(version);
  if (wrong) return [fault('nats', `${wrong}.`, 'Upgrade nats-server.')];
  return [ok('nats', `nats-server ${version} answers.`)];
}

async function checkAccount(
  { askJetStream }: JetStream,
  connection: Connection,
): Promise<Finding[]> {
  const account = await askJetStream<AccountInfo>(connection, 'INFO');
  if (!account) return [];
  const { storage, limits } = account;
  const most = limits.max_storage;
  if (most <= 0)
    return [ok('jetstream', `It stores ${formatBytes(storage)}, and the account has no limit.`)];
  const text = `It stores ${formatBytes(storage)} of ${formatBytes(most)} that the account may have.`;
  if (storage < FULL * most) return [ok('jetstream', text)];
  return [
    fault('jetstream', text, 'Raise max_file of the account, or lower TIDEMARK_STREAM_MAX_BYTES.'),
  ];
}

async function checkStreams(
  { askJetStream, EVENTS, REVOCATIONS }: JetStream,
  connection: Connection,
  environment: Environment,
): Promise<Finding[]> {
  const askedMs = Date.now();
  const events = await askJetStream<StreamInfo>(connection, `STREAM.INFO.${EVENTS}`);
  const answeredMs = Date.now();
  if (!events) {
    return [
      fault(
        'stream',
        `There is no stream ${EVENTS}.`,
        'Replay creates it when it starts: is it running, with this NATS?',
      ),
    ];
  }
  const clock = events.ts
    ? [
        judgeClock({
          check: 'nats clock',
          theirMs: Date.parse(events.ts),
          askedMs,
          answeredMs,
          resolutionMs: 0,
        }),
      ]
    : [];
  const revocations = await askJetStream<StreamInfo>(connection, `STREAM.INFO.${REVOCATIONS}`);
  return [
    ...clock,
    ...judgeCopies('stream', events),
    ...(revocations
      ? judgeCopies('revocations', revocations)
      : [fault('revocations', 'Their bucket is missing.', 'Replay creates it when it starts.')]),
    ...(await judgeConfiguration(events, environment)),
    judgeSpace(events),
  ];
}

function judgeCopies(check: string, { config, cluster }: StreamInfo): Finding[] {
  const { leader, replicas = [] } = cluster ?? {};
  if (config.num_replicas === 1) {
    const advice =
      'A machine that is lost takes the events with it: TIDEMARK_STREAM_REPLICAS=3 in a cluster, and backups.';
    return check === 'stream' ? [note(check, 'There is one copy of it.', advice)] : [];
  }
  if (!leader) {
    return [
      fault(
        check,
        'It has no leader: nothing is stored.',
        'More than half of its nats-servers have to run and reach each other.',
      ),
    ];
  }
  const behind = replicas.filter(
    ({ offline, current, lag = 0 }) => offline || !current || lag > LAG,
  );
  if (behind.length === 0) {
    return [ok(check, `${config.num_replicas} copies are current; ${leader} leads.`)];
  }
  const list = behind.map(
    ({ name, offline, lag = 0 }) =>
      `${name} ${offline ? 'is away' : `is ${formatCount(lag)} behind`}`,
  );
  return [
    fault(
      check,
      `Of its copies ${list.join(', ')}.`,
      'Start that nats-server, or look at its disk and network.',
    ),
  ];
}

/** The settings of the stream that operators choose; the others are what Tidemark needs. */
const CHOICES = new Set(['max_age', 'max_bytes', 'duplicate_window', 'num_replicas']);

async function judgeConfiguration(
  { config }: StreamInfo,
  environment: Environment,
): Promise<Finding[]> {
  const { desiredStream } = await import('@tidemark/nats');
  const { knownVariables, readConfiguration, stream } = await import('@tidemark/config');
  const desired = desiredStream(
    readConfiguration(environment, { table: stream, known: knownVariables }),
  );
  const differing = Object.entries(desired).filter(
    ([name, value]) => JSON.stringify(config[name]) !== JSON.stringify(value),
  );
  const describe = (names: typeof differing) =>
    names
      .map(
        ([name, value]) =>
          `${name} is ${JSON.stringify(config[name])} in place of ${JSON.stringify(value)}`,
      )
      .join(', ');
  const needed = differing.filter(([name]) => !CHOICES.has(name));
  const chosen = differing.filter(([name]) => CHOICES.has(name));
  const findings: Finding[] = [];
  if (needed.length > 0) {
    findings.push(
      fault(
        'stream',
        `Its configuration is wrong: ${describe(needed)}.`,
        'Restart replay, which sets it; its log says why where NATS refuses. deny_delete cannot be taken back: erasures then need a new stream.',
      ),
    );
  }
  if (chosen.length > 0) {
    findings.push(
      note(
        'stream',
        `It differs from this environment: ${describe(chosen)}.`,
        'That is right where replay has other TIDEMARK_STREAM_ variables than this shell.',
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [ok('stream', 'Its configuration is what Tidemark wants.')];
}

function judgeSpace({ config, state }: StreamInfo): Finding {
  const most = Number(config.max_bytes);
  const text = `It has ${formatCount(state.messages)} events, ${formatBytes(state.bytes)}`;
  if (!(most > 0)) return ok('stream', `${text}, without a limit of bytes.`);
  const full = `${text} of ${formatBytes(most)}`;
  if (state.bytes < FULL * most) return ok('stream', `${full}.`);
  return note(
    'stream',
    `${full}: the oldest events leave it.`,
    'The archives keep them. TIDEMARK_STREAM_MAX_BYTES is its size.',
  );
}
