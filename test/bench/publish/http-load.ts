import { connect, type Socket } from 'node:net';
import { LatencyHistogram, type LatencySummary } from '../load/latency-histogram.ts';
import { serveCommands } from '../system/commands.ts';
import { nowUs } from '../wire/clock.ts';
import { BatchBody } from './batch-body.ts';

/** What one load sends. */
export interface HttpLoadPlan {
  readonly port: number;
  readonly token: string;
  /** Requests at once, each on a connection of its own. */
  readonly connections: number;
  /** Events of a request; 1 sends single events and not batches. */
  readonly eventsEach: number;
  readonly eventBytes: number;
  /** Topics that the events of all requests are spread over. */
  readonly topics: number;
  readonly seconds: number;
  /** Time between an answer and the next request of a connection; 0 if absent. */
  readonly pauseMs?: number;
}

export interface HttpLoadReport {
  /** Events of requests that were answered with 201. */
  readonly acknowledged: number;
  readonly elapsedMs: number;
  readonly latency: LatencySummary;
  readonly faults: readonly string[];
}

const HEAD_END = Buffer.from('\r\n\r\n');
const FAULTS_MAX = 5;

/** Bodies that were sent by this process, so that no id comes twice. */
let loads = 0;
const LOADER = process.pid;

/**
 * A process that posts events to ingest as cheaply as Node can: sockets without an HTTP client, bodies that are
 * prepared, of which only the counters change.
 */
const commands = { load };
export type HttpLoadCommands = typeof commands;

serveCommands(commands);

async function load(plan: HttpLoadPlan): Promise<HttpLoadReport> {
  const latency = new LatencyHistogram();
  const faults: string[] = [];
  const run = ++loads;
  const startMs = performance.now();
  const endMs = startMs + plan.seconds * 1000;
  const counts = await Promise.all(
    Array.from({ length: plan.connections }, (_, index) => {
      const body = new BatchBody({ ...plan, prefix: `${LOADER}-${run}-${index}` });
      return postUntil(endMs, { plan, body, latency, faults });
    }),
  );
  const acknowledged = counts.reduce((sum, count) => sum + count, 0);
  return {
    acknowledged,
    elapsedMs: performance.now() - startMs,
    latency: latency.summary(),
    faults,
  };
}

interface Posting {
  readonly plan: HttpLoadPlan;
  readonly body: BatchBody;
  readonly latency: LatencyHistogram;
  readonly faults: string[];
}

/** Posts one request after the other over one connection. @returns the events that were acknowledged */
function postUntil(endMs: number, { plan, body, latency, faults }: Posting): Promise<number> {
  const { port, token, eventsEach, pauseMs = 0 } = plan;
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  const head = Buffer.from(
    `POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n` +
      `Content-Type: ${body.contentType}\r\nContent-Length: ${body.bytes.length}\r\n\r\n`,
  );
  const request = Buffer.concat([head, body.bytes]);
  body.moveInto(request, head.length);
  return new Promise((resolve) => {
    let acknowledged = 0;
    let sentUs = 0;
    const send = () => {
      body.next();
      sentUs = nowUs();
      socket.write(request);
    };
    const finish = (fault?: string) => {
      if (fault !== undefined && faults.length < FAULTS_MAX) faults.push(fault);
      socket.destroy();
      resolve(acknowledged);
    };
    readAnswers(socket, (status, answer) => {
      latency.add(nowUs() - sentUs);
      if (status !== 201) return finish(`${status} ${answer.toString()}`);
      // Every event has its own cursor in the answer.
      if (countOf(answer, CURSOR) !== eventsEach) return finish(`cursors lack: ${answer}`);
      acknowledged += eventsEach;
      if (performance.now() >= endMs) return finish();
      if (pauseMs === 0) send();
      else setTimeout(send, pauseMs);
    });
    socket.once('error', (error) => finish(error.message));
    socket.once('connect', send);
  });
}

const CURSOR = Buffer.from('"cursor":"');

function countOf(bytes: Buffer, part: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(part); at !== -1; at = bytes.indexOf(part, at + part.length)) count++;
  return count;
}

/** Reads answers with a `Content-Length`, one after the other. */
function readAnswers(socket: Socket, onAnswer: (status: number, body: Buffer) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const headEnd = pending.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = pending.toString('latin1', 0, headEnd);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const end = headEnd + HEAD_END.length + length;
    if (pending.length < end) return;
    const body = pending.subarray(headEnd + HEAD_END.length, end);
    pending = pending.subarray(end);
    onAnswer(Number(head.slice(9, 12)), body);
  });
}
