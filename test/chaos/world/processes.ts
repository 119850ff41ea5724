import type { Service } from '../../support/services.ts';

export type PartName = 'nats' | 'gateway' | 'ingest' | 'replay';

/** A process of the system, which faults may hit. */
export interface Process {
  readonly name: string;
  readonly part: PartName;
  readonly pid: number;
  /** Ends it with a signal and resolves once it is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Starts it again where it has ended. */
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): void;
  isReady(): Promise<boolean>;
}

const READY_TIMEOUT_MS = 2000;

/** Whether a URL answers 200. */
export async function answersOk(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(READY_TIMEOUT_MS) }).catch(
    () => undefined,
  );
  await answer?.body?.cancel();
  return answer?.ok ?? false;
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A service as a target of faults. */
export function serviceProcess(name: string, service: Service): Process {
  return {
    name,
    part: service.name,
    get pid() {
      return service.pid;
    },
    async end(signal) {
      await service.kill(signal);
    },
    async start() {
      if (isRunning(service.pid)) return;
      await service.restart().catch((error) => {
        // On a machine that is busy it listens later than tests wait for.
        if (!isRunning(service.pid)) throw error;
      });
    },
    async freeze() {
      process.kill(service.pid, 'SIGSTOP');
    },
    thaw() {
      process.kill(service.pid, 'SIGCONT');
    },
    isReady: () => answersOk(`${service.url}/readyz`),
  };
}
