/** What one look at the system found. */
export interface Finding {
  /** What was looked at, such as `gateway`. */
  readonly check: string;
  readonly level: 'ok' | 'note' | 'fault' | 'skipped';
  /** One sentence. */
  readonly text: string;
  /** What to do, for all but `ok`. */
  readonly advice?: string;
}

/** A finding that all is well. */
export function ok(check: string, text: string): Finding {
  return { check, level: 'ok', text };
}

/** A finding that is worth knowing, and no fault. */
export function note(check: string, text: string, advice: string): Finding {
  return { check, level: 'note', text, advice };
}

/** A finding that something is wrong. */
export function fault(check: string, text: string, advice: string): Finding {
  return { check, level: 'fault', text, advice };
}

/** Says what could not be looked at. */
export function skipped(check: string, text: string, advice: string): Finding {
  return { check, level: 'skipped', text, advice };
}
