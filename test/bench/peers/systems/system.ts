import type { ClientPlan } from '../../load/transports.ts';
import type { HttpTarget } from '../../publisher/http-target.ts';

/** What a case needs that a system does not do unless it is told to. */
export interface Needs {
  /** Clients come back to what they missed. */
  readonly recovery: boolean;
}

/** How the clients of a system connect. The case adds its events and topics. */
export type Access = Omit<ClientPlan, 'eventBytes' | 'timed' | 'check' | 'together'>;

/** A system while it runs. */
export interface RunningSystem {
  readonly access: Access;
  /** Its API to publish with, over HTTP. */
  readonly target: HttpTarget;
  /** The processes that write to clients. Their children count too. */
  readonly serving: readonly number[];
  /** All other processes of the system by name, such as its broker. Their children count too. */
  readonly others: Readonly<Record<string, readonly number[]>>;
  /** The events that it has stored, where it stores any. */
  stored?(): Promise<number>;
  /** Resolves when clients that come back find all that was published. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

/** One column of the comparison. */
export interface System {
  /** For `--system`. */
  readonly name: string;
  readonly title: string;
  /** What differs from its defaults, each with its reason. */
  readonly settings: readonly string[];
  /** What it does not promise, with the page of its documentation that says so. */
  readonly notPromised: readonly string[];
  /** @returns why a case is not measured; `undefined` where it is */
  without(caseName: string): string | undefined;
  start(needs: Needs): Promise<RunningSystem>;
}
