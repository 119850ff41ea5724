import { setTimeout as sleep } from 'node:timers/promises';
import { measure, verify } from '../../bench/system/measurement.ts';
import { residentBytes } from '../../bench/system/process-figures.ts';
import { Stage } from '../../bench/system/stage.ts';
import type { ConnectionCost } from '../costs.ts';
import { readKernelMemory } from '../kernel-memory.ts';
import type { Scale } from '../scale.ts';
import type { Transport } from './transport.ts';

const TIMEOUT_MS = 120_000;
/** What comes before the measured connections: the first ones compile code and grow the heap. */
const FIRST_PART = 0.5;

export type IdleCost = Pick<
  ConnectionCost,
  'residentBytes' | 'kernelBytes' | 'openUs' | 'heartbeatUs'
> & {
  /** Resident memory that does not grow with the number of connections. */
  readonly fixedBytes: number;
};

/**
 * Idle connections, each with one subscription to a topic of its own. Both ends of them are on this machine,
 * so half of the kernel's memory is the gateway's.
 */
export async function measureConnections(
  transport: Transport,
  { connections, seconds, heartbeatMs, settleMs }: Scale,
): Promise<IdleCost> {
  const stage = await Stage.open({});
  try {
    const gateway = await stage.startGateway({
      TIDEMARK_GATEWAY_HEARTBEAT_MS: String(heartbeatMs),
    });
    const load = await stage.startLoad();
    const empty = await measure(gateway);
    await sleep(1000 * seconds);
    const emptyLoad = cpuShare(await empty());
    const open = async (clients: number) => {
      const opened = await load.call('open', {
        ...stage.clientPlan(gateway.port),
        transport,
        eventBytes: 0,
        timed: false,
        check: 'counter',
        clients,
        topics: { prefix: 'idle', audiences: connections, topicsEach: 1 },
        until: 'liveUs',
        timeoutMs: TIMEOUT_MS,
      });
      verify('opening', opened.faults);
    };
    const first = Math.floor(connections * FIRST_PART);
    await open(first);
    await sleep(settleMs);
    const before = { resident: residentBytes(gateway.pid), kernel: readKernelMemory() };
    const opening = await measure(gateway);
    await open(connections - first);
    const { cpuSeconds } = await opening();
    await sleep(settleMs);
    const idle = await measure(gateway);
    await sleep(seconds * heartbeatMs);
    const idleLoad = cpuShare(await idle());
    const after = { resident: residentBytes(gateway.pid), kernel: readKernelMemory() };
    const more = connections - first;
    const heartbeatsPerSecond = connections / (heartbeatMs / 1000);
    const slabBytes = (after.kernel?.slabBytes ?? 0) - (before.kernel?.slabBytes ?? 0);
    const tcpBytes = (after.kernel?.tcpBytes ?? 0) - (before.kernel?.tcpBytes ?? 0);
    const residentEach = Math.max(0, after.resident - before.resident) / more;
    return {
      fixedBytes: before.resident - first * residentEach,
      residentBytes: residentEach,
      kernelBytes: Math.max(0, slabBytes + tcpBytes) / 2 / more,
      openUs: (cpuSeconds * 1e6) / more,
      heartbeatUs: (Math.max(0, idleLoad - emptyLoad) * 1e6) / heartbeatsPerSecond,
    };
  } finally {
    await stage.close();
  }
}

/** @returns CPU seconds in a second */
function cpuShare({
  cpuSeconds,
  wallSeconds,
}: {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}): number {
  return cpuSeconds / wallSeconds;
}
