import { loadavg } from 'node:os';
import { childrenCpuMs, familyCpuMs, machineCpuMs } from './process-figures.ts';

/** Thrown instead of reporting a figure for a run that did not work. */
export class Unverified extends Error {
  override readonly name = 'Unverified';
}

/** @throws Unverified where a load client found a fault */
export function verify(what: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new Unverified(`${what}: ${faults.join('; ')}`);
}

export interface Spent {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** CPU seconds of nats-server. */
  readonly natsSeconds: number;
  /** Cores that processes outside the benchmark used during the measurement. */
  readonly otherCores: number;
  readonly load: number;
}

export interface Measured {
  readonly pid: number;
  startProfile?(): Promise<void>;
  stopProfile?(): Promise<void>;
}

/** Measures what a process and its children use until the returned function is called. */
export async function measure(subject: Measured): Promise<() => Promise<Spent>> {
  const { pid } = subject;
  await subject.startProfile?.();
  const before = { cpuMs: familyCpuMs(pid), wallMs: performance.now(), ...sharesNow() };
  return async () => {
    const after = { cpuMs: familyCpuMs(pid), ...sharesNow() };
    const wallMs = performance.now() - before.wallMs;
    const othersMs = after.machineMs - before.machineMs - (after.familyMs - before.familyMs);
    await subject.stopProfile?.();
    return {
      cpuSeconds: (after.cpuMs - before.cpuMs) / 1000,
      wallSeconds: wallMs / 1000,
      natsSeconds: (after.natsMs - before.natsMs) / 1000,
      otherCores: Math.max(0, othersMs / wallMs),
      load: loadavg()[0] ?? Number.NaN,
    };
  };
}

function sharesNow(): { machineMs: number; familyMs: number; natsMs: number } {
  return {
    machineMs: machineCpuMs(),
    familyMs: familyCpuMs(),
    natsMs: childrenCpuMs('nats-server'),
  };
}
