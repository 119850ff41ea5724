import { isSameLog, type Lineage, parseCursor, toPresent } from '@tidemark/protocol';

/** Where a cursor lies in the log as it is at the end. */
export interface Place {
  readonly epoch: string;
  /** The sequence in the cursor itself. */
  readonly raw: number;
  /** The sequence in the final epoch; of a lost place, the last one before the loss. */
  readonly sequence: number;
  /** The last sequence that the final epoch shares with the cursor's; huge in the final epoch. */
  readonly shared: number;
  /** Whether the log lost what the cursor names. */
  readonly lost: boolean;
  /** Whether the cursor is of another log, or of an epoch that the servers have forgotten. */
  readonly foreign: boolean;
}

/**
 * Whether a client has to be told a loss before it goes on from a lost place to another one. Where the log
 * was cut twice, and lower the second time, nothing tells any more what the first two epochs shared.
 */
export function isLossBetween(lost: Place, next: Place): boolean {
  return lost.epoch !== next.epoch && next.shared > lost.shared;
}

/** Whether two cursors name the same place, or may have done so before a later loss. */
export function isSamePlace(one: Place, other: Place): boolean {
  if (one.foreign || other.foreign || one.raw !== other.raw) return false;
  return one.lost === other.lost && !(one.lost && isLossBetween(one, other));
}

/** Finds cursors in the final lineage. */
export class Places {
  readonly #lineage: Lineage;
  readonly #through = new Map<string, number>();

  constructor(lineage: Lineage) {
    this.#lineage = lineage;
    const epochs = [lineage.epoch, ...(lineage.earlier ?? []).map(({ epoch }) => epoch)];
    for (const epoch of epochs) {
      const last = { epoch, sequence: Number.MAX_SAFE_INTEGER };
      this.#through.set(epoch, toPresent(lineage, last)?.sequence ?? 0);
    }
  }

  get epoch(): string {
    return this.#lineage.epoch;
  }

  /** Whether the log has lost its end at least once. */
  get hasLost(): boolean {
    return (this.#lineage.earlier ?? []).length > 0;
  }

  /** @throws TidemarkError where the text is not a cursor */
  find(cursor: string): Place {
    const { epoch, sequence } = parseCursor(cursor);
    const through = this.#through.get(epoch);
    if (through === undefined) {
      return { epoch, raw: sequence, sequence: 0, shared: 0, lost: false, foreign: true };
    }
    const lost = sequence > through;
    return {
      epoch,
      raw: sequence,
      sequence: lost ? through : sequence,
      shared: through,
      lost,
      foreign: false,
    };
  }

  isOfThisLog(epoch: string): boolean {
    return isSameLog(epoch, this.epoch);
  }
}
