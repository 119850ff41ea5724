/** What a violation concerns. The timeline shows the records that concern the same. */
export interface Concern {
  readonly subscription?: string;
  readonly connection?: string;
  readonly topic?: string;
  readonly id?: string;
  readonly attempt?: number;
  readonly reader?: string;
}

/** A promise that the run broke. */
export interface Violation {
  /** The name of the promise, such as `no hole`. */
  readonly check: string;
  /** When the run broke it; infinite where only the final state shows it. */
  readonly atMs: number;
  readonly message: string;
  readonly concern: Concern;
}

/** Takes the violations of all checks. It keeps the first by time, and counts the others. */
export class Findings {
  first: Violation | undefined;
  /** Violations by the name of their check. */
  readonly violations = new Map<string, number>();
  /** What PROTOCOL.md section 5 says cannot be told, and so is no violation. */
  readonly exceptions = new Map<string, number>();

  violate(check: string, atMs: number, message: string, concern: Concern): void {
    increase(this.violations, check);
    if (!this.first || atMs < this.first.atMs) this.first = { check, atMs, message, concern };
  }

  except(name: string): void {
    increase(this.exceptions, name);
  }
}

/** Adds one to a count. */
export function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
