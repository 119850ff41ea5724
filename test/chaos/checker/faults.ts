import type { FaultRecord } from '../history.ts';

/** A fault from its begin to its end. */
export interface Fault {
  readonly fault: string;
  readonly targets: readonly string[];
  readonly beginMs: number;
  readonly loses: FaultRecord['loses'];
  /** Infinite while it has not ended. */
  endMs: number;
}

/** How long after a fault NATS may still be away: an election, and a connection that is dead untold. */
const RECOVERY_MS = 15_000;

/** How long after a fault an archive may still be unknown: its process starts, and announces itself. */
const ANNOUNCED_MS = 5000;

/** Faults after which a process is a new one. */
const STARTS: ReadonlySet<string> = new Set(['kill', 'terminate', 'rolling', 'machines', 'crash']);

/** The faults of a run. */
export class Faults {
  /** In the order of their begins. */
  readonly all: Fault[] = [];
  readonly #open = new Map<number, Fault>();

  add({ number, phase, atMs, fault, target, loses }: FaultRecord): void {
    if (phase === 'end') {
      const open = this.#open.get(number);
      if (open) open.endMs = atMs;
      return;
    }
    const targets = target.split(' ');
    const begun = { fault, targets, beginMs: atMs, endMs: Number.POSITIVE_INFINITY, loses };
    this.all.push(begun);
    this.#open.set(number, begun);
  }

  /** When the last fault ended; where one has no end, when it began. -Infinity where there was none. */
  get lastEndMs(): number {
    const ends = this.all.map(({ beginMs, endMs }) => (Number.isFinite(endMs) ? endMs : beginMs));
    return ends.reduce((last, endMs) => Math.max(last, endMs), Number.NEGATIVE_INFINITY);
  }

  /** Whether the log may have lost its end at this time or later. */
  mayLoseEndAfter(atMs: number): boolean {
    return this.all.some(({ loses, endMs }) => loses === 'end' && endMs >= atMs);
  }

  /** Whether the log may have lost its end before this time. */
  mayHaveLostEnd(atMs: number): boolean {
    return this.endLossesBefore(atMs).length > 0;
  }

  /** The faults that may have lost the end of the log and began before this time. */
  endLossesBefore(atMs: number): readonly Fault[] {
    return this.all.filter(({ loses, beginMs }) => loses === 'end' && beginMs <= atMs);
  }

  /** Whether a fault of NATS, or of a way to it, may keep the end of the stream from a gateway. */
  mayHideEnd(atMs: number): boolean {
    return this.all.some(
      ({ targets, beginMs, endMs }) =>
        targets.some((target) => target.startsWith('nats')) &&
        beginMs <= atMs &&
        endMs + RECOVERY_MS >= atMs,
    );
  }

  /** Whether events may have left the stream before an archive had them. */
  get mayLoseStart(): boolean {
    return this.all.some(({ loses }) => loses === 'start');
  }

  /**
   * Whether events may have left the stream for a time before this one. A server that is killed can bring
   * back what had left it.
   */
  mayHaveLostStart(atMs: number): boolean {
    return this.all.some(({ loses, beginMs }) => loses === 'start' && beginMs <= atMs);
  }

  /**
   * Whether a server that stores events may not know that the log lost its end before this time: it was
   * started after that (PROTOCOL.md section 5).
   */
  mayNotKnowLoss(atMs: number): boolean {
    return this.endLossesBefore(atMs).some((loss) =>
      this.all.some(
        ({ fault, targets, beginMs, endMs }) =>
          STARTS.has(fault) &&
          targets.some((target) => /^(ingest|gateway)/.test(target)) &&
          beginMs <= atMs &&
          endMs >= loss.beginMs,
      ),
    );
  }

  /**
   * Whether a server may not know of an archive that holds events: that has been away since the server was
   * started and could hear it (ARCHITECTURE.md, "Archives announce what they hold").
   *
   * @param server what the name of the server begins with
   */
  mayNotKnowArchive(server: string, atMs: number): boolean {
    const isOwn = ({ targets }: Fault) => targets.some((name) => name.startsWith(server));
    const starts = this.all.filter(
      (one) => STARTS.has(one.fault) && one.endMs <= atMs && isOwn(one),
    );
    const absences = this.all.filter(({ targets, beginMs, endMs }) => {
      const isAway = beginMs <= atMs && endMs + ANNOUNCED_MS >= atMs;
      return isAway && targets.some((name) => name.startsWith('replay') && name !== server);
    });
    return starts.some(({ endMs }) => {
      const heardMs = this.#deafUntil(endMs, isOwn) + ANNOUNCED_MS;
      return absences.some(({ beginMs }) => beginMs <= heardMs);
    });
  }

  /** Until when faults of a server and of NATS, one after the other, keep it from hearing anything. */
  #deafUntil(fromMs: number, isOwn: (fault: Fault) => boolean): number {
    let untilMs = fromMs;
    for (const fault of this.all) {
      const isNats = fault.targets.every((name) => name.startsWith('nats'));
      if (!isNats && !isOwn(fault)) continue;
      if (fault.beginMs <= untilMs + ANNOUNCED_MS) untilMs = Math.max(untilMs, fault.endMs);
    }
    return untilMs;
  }

  /**
   * The time by which something has to have happened that takes `boundMs` without faults.
   *
   * @param hinders whether a fault can delay it
   */
  deadline(fromMs: number, boundMs: number, hinders: (fault: Fault) => boolean): number {
    let deadlineMs = fromMs + boundMs;
    for (const fault of this.all) {
      if (fault.beginMs > deadlineMs || fault.endMs < fromMs || !hinders(fault)) continue;
      deadlineMs = Math.max(deadlineMs, fault.endMs + boundMs);
    }
    return deadlineMs;
  }
}
