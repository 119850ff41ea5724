import { setTimeout as sleep } from 'node:timers/promises';
import type { BareLoopCommands } from '../peers/bare-loop.ts';
import { measure, verify } from '../system/measurement.ts';
import { residentBytes } from '../system/process-figures.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions } from './bench-case.ts';

const CLIENTS = 10_000;
const TIMEOUT_MS = 120_000;
/** Longer than a heartbeat interval, so that idle connections include pings and heartbeats. */
const SETTLE_MS = 20_000;

export const idleMemory: BenchCase = {
  name: 'idle-memory',
  title: 'idle WebSocket connections, 10,000',
  sockets: CLIENTS,
  method: `Growth of the gateway's resident memory from before the first handshake to ${SETTLE_MS / 1000} s after the last, each connection subscribed to a topic of its own, through the ${CLIENTS} connections. The floor is the same of a process that holds bare \`net\` sockets.`,
  targets: [
    { value: 'kibPerConnection', text: 'resident per connection', atMost: 12, unit: 'KiB' },
  ],
  async run(options) {
    const stage = await Stage.open(options);
    try {
      const gateway = await stage.startGateway();
      const { port: barePort, pid: barePid } = await startBareLoop(stage);
      const spent = await measure(gateway);
      const kibPerConnection = await growth(stage, options, gateway);
      const floorKib = await growth(stage, options, { port: barePort, pid: barePid });
      const { cpuSeconds, otherCores, load: loadAverage } = await spent();
      return { kibPerConnection, floorKib, cpuSeconds, otherCores, loadAverage };
    } finally {
      await stage.close();
    }
  },
};

async function startBareLoop(stage: Stage): Promise<{ port: number; pid: number }> {
  const file = new URL('../peers/bare-loop.ts', import.meta.url);
  const server = await stage.startWorker<BareLoopCommands>(file);
  return { port: (await server.call('listen', {})).port, pid: server.pid };
}

/** @returns the growth in KiB per connection */
async function growth(
  stage: Stage,
  { quick }: RunOptions,
  { port, pid }: { port: number; pid: number },
): Promise<number> {
  const load = await stage.startLoad();
  const before = residentBytes(pid);
  const opened = await load.call('open', {
    ...stage.clientPlan(port),
    eventBytes: 0,
    timed: false,
    check: 'counter',
    clients: CLIENTS,
    topics: { prefix: 'user', audiences: CLIENTS, topicsEach: 1 },
    until: 'liveUs',
    timeoutMs: TIMEOUT_MS,
  });
  await sleep(quick ? SETTLE_MS / 4 : SETTLE_MS);
  verify('opening', opened.faults);
  const after = residentBytes(pid);
  await load.call('close', {});
  return (after - before) / 1024 / CLIENTS;
}
