import { setTimeout as sleep } from 'node:timers/promises';
import { readKernelMemory } from '../../capacity/kernel-memory.ts';
import type { Transport } from '../load/transports.ts';
import type { BareLoopCommands } from '../peers/bare-loop.ts';
import { measure, verify } from '../system/measurement.ts';
import { residentBytes } from '../system/process-figures.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions, Values } from './bench-case.ts';

const CLIENTS = 10_000;
const TIMEOUT_MS = 120_000;
/** Longer than a heartbeat interval, so that idle connections include pings and heartbeats. */
const SETTLE_MS = 20_000;

/** What the growth in KiB is of. */
interface Growth {
  /** Resident memory for each connection, with what the first ones make the process grow by. */
  readonly all: number;
  /** The same of the second half of the connections alone. */
  readonly later: number;
  /** The kernel's memory of one end of a connection; `NaN` where it is not told. */
  readonly kernel: number;
}

export const idleMemory = idleCase('idle-memory', 'websocket', 10);
export const idleMemorySse = idleCase('idle-memory-sse', 'sse', 12);

function idleCase(name: string, transport: Transport, atMost: number): BenchCase {
  const over = transport === 'sse' ? 'SSE' : 'WebSocket';
  return {
    name,
    title: `idle ${over} connections, 10,000`,
    sockets: CLIENTS,
    method: `Growth of the gateway's resident memory from before the first handshake to ${SETTLE_MS / 1000} s after the last, each connection subscribed to a topic of its own, through the ${CLIENTS} connections; and that of the second half of them, which the growth of an empty heap is no part of. The floor is the same of a process that holds bare sockets. The kernel's memory is half of the growth of its slab and TCP memory, because both ends are on the machine.`,
    targets: [{ value: 'kibPerConnection', text: 'resident per connection', atMost, unit: 'KiB' }],
    run: (options) => measureIdle(transport, options),
  };
}

async function measureIdle(transport: Transport, options: RunOptions): Promise<Values> {
  const stage = await Stage.open(options);
  try {
    const gateway = await stage.startGateway();
    const { port: barePort, pid: barePid } = await startBareLoop(stage);
    const spent = await measure(gateway);
    const served = await growth(stage, options, {
      port: gateway.port,
      pid: gateway.pid,
      transport,
    });
    const floor = await growth(stage, options, {
      port: barePort,
      pid: barePid,
      transport: 'websocket',
    });
    const { cpuSeconds, otherCores, load: loadAverage } = await spent();
    return {
      kibPerConnection: served.all,
      laterKib: served.later,
      kernelKib: served.kernel,
      floorKib: floor.all,
      cpuSeconds,
      otherCores,
      loadAverage,
    };
  } finally {
    await stage.close();
  }
}

interface Server {
  readonly port: number;
  readonly pid: number;
  readonly transport: Transport;
}

async function startBareLoop(stage: Stage): Promise<{ port: number; pid: number }> {
  const file = new URL('../peers/bare-loop.ts', import.meta.url);
  const server = await stage.startWorker<BareLoopCommands>(file);
  return { port: (await server.call('listen', {})).port, pid: server.pid };
}

async function growth(stage: Stage, { quick }: RunOptions, server: Server): Promise<Growth> {
  const { port, pid, transport } = server;
  const load = await stage.startLoad();
  const open = async (clients: number) => {
    const opened = await load.call('open', {
      ...stage.clientPlan(port),
      transport,
      eventBytes: 0,
      timed: false,
      check: 'counter',
      clients,
      topics: { prefix: 'user', audiences: CLIENTS, topicsEach: 1 },
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening', opened.faults);
    await sleep(quick ? SETTLE_MS / 4 : SETTLE_MS);
    return { residentBytes: residentBytes(pid), kernelBytes: kernelBytes() };
  };
  const empty = { residentBytes: residentBytes(pid), kernelBytes: kernelBytes() };
  const half = await open(CLIENTS / 2);
  const full = await open(CLIENTS / 2);
  await load.call('close', {});
  const kibOf = (bytes: number, clients: number) => bytes / 1024 / clients;
  return {
    all: kibOf(full.residentBytes - empty.residentBytes, CLIENTS),
    later: kibOf(full.residentBytes - half.residentBytes, CLIENTS / 2),
    kernel: kibOf((full.kernelBytes - empty.kernelBytes) / 2, CLIENTS),
  };
}

function kernelBytes(): number {
  const memory = readKernelMemory();
  return memory ? memory.slabBytes + memory.tcpBytes : Number.NaN;
}
