import type { FinalLog } from './log.ts';

/** What a subscription with `deliver: "latest"` (PROTOCOL.md section 6.7) was not sent. */
export class Skips {
  readonly #log: FinalLog;
  /** The last skipped event of each topic that has had no newer one since. */
  readonly #awaited = new Map<string, number>();
  /** Events skipped since the last `skipped`, and sequences among them that no store holds. */
  #skipped = 0;
  #unknown = 0;

  constructor(log: FinalLog) {
    this.#log = log;
  }

  /** A new connection counts anew, and still owes the newest of each topic. */
  begin(): void {
    this.#skipped = 0;
    this.#unknown = 0;
  }

  forget(): void {
    this.#awaited.clear();
  }

  add(sequence: number): void {
    this.#skipped++;
    this.#awaited.set(this.#log.topicOf(sequence) ?? '', sequence);
  }

  addUnknown(after: number, through: number): void {
    this.#unknown += this.#log.countUnknown(after, through);
  }

  /** An event of the topic has come. */
  receive(topic: string): void {
    this.#awaited.delete(topic);
  }

  /** After a gap, `skipped` may still count what was skipped before it. */
  passGap(): void {
    this.#awaited.clear();
    this.#unknown += this.#skipped;
    this.#skipped = 0;
  }

  /** `skipped` has come. @returns why its count is wrong */
  tell(count: number): string | undefined {
    const most = this.#skipped + this.#unknown;
    const isRight = count >= this.#skipped && count <= most;
    const why = `was told ${count} skipped, and ${this.#skipped} are`;
    this.begin();
    return isRight ? undefined : why;
  }

  /** Once it is current, a newer event has come for each topic with a skipped one. */
  takeAwaited(): { readonly topic: string; readonly sequence: number } | undefined {
    const [first] = this.#awaited;
    this.#awaited.clear();
    return first && { topic: first[0], sequence: first[1] };
  }
}
