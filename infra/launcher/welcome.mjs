import { randomBytes } from 'node:crypto';
import { OPERATOR, operatorFile } from './nats-users.mjs';
import { reachableHost } from './settings.mjs';
import { makeToken } from './token.mjs';

const TOKEN_TTL_SECONDS = 24 * 3600;
const SCOPE = 'subscribe:> publish:> history:> inbox:> admin';
const EVENT = `-H "Content-Type: application/json" \\
    -d '{"type": "order.paid", "topic": "orders.42", "data": {"total": 7}}'`;

const SUBSCRIBE = '{"type": "subscribe", "id": "mine", "topics": ["orders.>"], "after": "CURSOR"}';

/**
 * The text that `npm start` prints: addresses, a token, and commands for the first event.
 *
 * @param {{ environment: NodeJS.ProcessEnv, folder: string, ports: Record<string, number> }} system
 */
export async function welcome({ environment, folder, ports }) {
  const token = await makeToken({
    environment,
    folder,
    subject: 'me',
    scope: SCOPE,
    ttlSeconds: TOKEN_TTL_SECONDS,
  });
  const host = reachableHost(environment);
  const [gateway = '', ingest = '', replay = ''] = ['gateway', 'ingest', 'replay'].map(
    (name) => `http://${host}:${ports[name]}`,
  );
  const jaegerUrl = ports.jaeger === undefined ? undefined : `http://127.0.0.1:${ports.jaeger}`;
  const page = jaegerUrl === undefined ? undefined : await tracePage(jaegerUrl);
  const samples = [
    ['Listen', 'curl', `-N "${gateway}/v1/sse?topics=orders.>&after=earliest"`],
    ['Emit, in another terminal', 'curl', `${ingest}/v1/events ${EVENT}`],
    [
      'Come back at a cursor, which is an `id:` of what you saw',
      'curl',
      `-N -H "Last-Event-ID: CURSOR" "${gateway}/v1/sse?topics=orders.>"`,
    ],
    [
      'The same over WebSocket',
      'npx -y wscat',
      `-s tidemark.v1 -c ${gateway.replace('http', 'ws')}/v1/ws\n  > ${SUBSCRIBE}`,
    ],
    ['Look back', 'curl', `"${replay}/v1/events?topics=orders.>"`],
  ].map(([title = '', program = '', rest = '']) => sample({ title, program, rest }, page));
  return `
Tidemark is ready.

  gateway  ${gateway}  WebSocket /v1/ws, SSE /v1/sse
  ingest   ${ingest}  POST /v1/events
  replay   ${replay}  GET /v1/events
  NATS     ${environment.NATS_URL || `nats://127.0.0.1:${ports.nats}`}
  data     ${folder}
  console  http://${host}:${ports.console ?? ports.gateway}/console/#token=${token}
${environment.NATS_URL ? '' : operatorLine(folder)}${jaegerUrl === undefined ? '' : `  traces   ${jaegerUrl}\n`}
A token for a day, with every permission (\`npm run --silent token -- --help\` makes others):

  export TOKEN=${token}
${process.platform === 'win32' ? '\n(On Windows the lines here are for Git Bash.)\n' : ''}
${samples.join('\n')}
Ctrl-C stops everything; the data stays.
`;
}

/**
 * The text of `npm run start:cluster`: the same, through nginx where there is one, and what runs.
 *
 * @param {{ environment: NodeJS.ProcessEnv, folder: string, ports: Record<string, number>,
 *   nginx: boolean, pids: readonly [name: string, pid: number][] }} system
 */
export async function welcomeCluster({ environment, folder, ports, nginx, pids }) {
  /** @param {string} service */
  const entry = (service) => (nginx ? ports.nginx : ports[`${service}-1`]) ?? 0;
  const text = await welcome({
    environment: { ...environment, TIDEMARK_HOST: '127.0.0.1', NATS_URL: '' },
    folder,
    ports: {
      gateway: entry('gateway'),
      ingest: entry('ingest'),
      replay: entry('replay'),
      ...(nginx && { console: ports.operators ?? 0 }),
      nats: ports['nats-1'] ?? 0,
    },
  });
  const rows = pids.map(
    ([name, pid]) => `  ${name.padEnd(10)} port ${ports[name] ?? 0}  process ${pid}`,
  );
  const how = nginx
    ? 'All services are behind nginx.'
    : 'There is no nginx: clients go to the first.';
  return `${text}
${how} Any one of these may be killed at any time; it starts again by itself:

${rows.join('\n')}
`;
}

/** @param {string} folder */
function operatorLine(folder) {
  return `  operator ${OPERATOR} at NATS, with the password in ${operatorFile(folder)}\n`;
}

/**
 * A command to try. With Jaeger it starts its own trace, and a link shows it.
 *
 * @param {{ title: string, program: string, rest: string }} request
 * @param {string | undefined} page
 */
function sample({ title, program, rest }, page) {
  const authorized = `${program} -H "Authorization: Bearer $TOKEN"`;
  if (page === undefined) return `${title}:\n\n  ${authorized} ${rest}\n`;
  const id = randomBytes(16).toString('hex');
  const header = `-H "traceparent: 00-${id}-${randomBytes(8).toString('hex')}-01"`;
  return `${title}:\n\n  ${authorized} ${header} \\\n    ${rest}\n\n  and its trace: ${page}/${id}\n`;
}

/**
 * The URL before the id of a trace. A Jaeger that was built from its Go module has no pages and
 * returns the trace as JSON.
 *
 * @param {string} jaegerUrl
 */
async function tracePage(jaegerUrl) {
  const page = await fetch(jaegerUrl)
    .then((answer) => answer.text())
    .catch(() => '');
  return `${jaegerUrl}${/not the Jaeger UI/.test(page) ? '/api/traces' : '/trace'}`;
}
