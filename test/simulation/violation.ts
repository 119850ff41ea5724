/** A promise of PROTOCOL.md section 1 was broken. `check` names the checker that saw it. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly check: string;

  constructor(check: string, message: string) {
    super(`${check}: ${message}`);
    this.check = check;
  }
}

export function ensure(holds: boolean, check: string, message: () => string): void {
  if (!holds) throw new Violation(check, message());
}
