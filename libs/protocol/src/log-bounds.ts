/**
 * What the stream or the archive holds of the log. Bounds of two epochs cannot be compared.
 *
 * @example { epoch: 'm4x1k2', firstSequence: 1, lastSequence: 0 } // a new stream, still empty
 */
export interface LogBounds {
  /** The stream's incarnation (PROTOCOL.md section 4). */
  readonly epoch: string;
  /** Lowest sequence that is held, at least 1; `lastSequence + 1` where nothing is. */
  readonly firstSequence: number;
  /** Highest sequence that was ever given or archived; 0 in a new stream. */
  readonly lastSequence: number;
}

/** Sequences from `from` up to `to`, both included. */
export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}
