import type { Lineage } from '@tidemark/protocol';

/** A message as the stream stored it. */
export interface StoredRecord {
  readonly uid: number;
  /** The name of its log. */
  readonly log: string;
  /** The first view of the log that has it. */
  readonly view: number;
  readonly sequence: number;
  readonly topic: string;
  readonly type: string;
  readonly timeMs: number;
  readonly json: Buffer;
  /** False for a message that is not an event. It has a sequence and is never delivered. */
  readonly valid: boolean;
  /** Whether the stream lost it in a crash. */
  lost: boolean;
  /** The record of its erasure, once somebody has asked for that. */
  erasedBy?: StoredRecord;
  /** Whether the stream has deleted it because of that. */
  deleted?: boolean;
  /** When the last copy of it was erased. */
  goneMs?: number;
}

/** A version of the log: its epochs, and a view of it, which counts the crashes that lost its end. */
export interface LogVersion {
  readonly epoch: string;
  readonly lineage: Lineage;
  readonly view: number;
  /**
   * The range in which its gateway has not seen what the log lost, because it had nothing to compare
   * there; absent where it has seen all.
   */
  readonly blind?: { readonly after: number; readonly to: number };
}

/** The version of a gateway that has not begun. */
export const NO_VERSION: LogVersion = { epoch: '', lineage: { epoch: '' }, view: 0 };

/** A loss that two views of a log differ by. */
export interface Loss {
  /** The view that began with it. */
  readonly view: number;
  /** The last sequence that it left. */
  readonly through: number;
  /** The end of the archive then. Until it is aligned it answers with what the log has lost. */
  readonly archivedTo: number;
}

/** Whether two versions have the same events. */
export function isSameView(one: LogVersion, other: LogVersion): boolean {
  return one.epoch === other.epoch && one.view === other.view;
}
