/**
 * The members of a group. Most have one, where clients have topics of their own: then there is no set, which
 * would take 150 bytes.
 */
export class Members<T extends object> {
  #sole: T | undefined;
  #all: Set<T> | undefined;

  get size(): number {
    return this.#all ? this.#all.size : Number(this.#sole !== undefined);
  }

  add(member: T): void {
    if (!this.#all && (this.#sole ?? member) === member) {
      this.#sole = member;
      return;
    }
    this.#all ??= new Set(this.#sole && [this.#sole]);
    this.#sole = undefined;
    this.#all.add(member);
  }

  /** @returns whether it was one of them */
  delete(member: T): boolean {
    if (this.#all) return this.#all.delete(member);
    if (this.#sole !== member) return false;
    this.#sole = undefined;
    return true;
  }

  /** In the order in which they came. Those who come meanwhile may be left out. */
  values(): IterableIterator<T> {
    return this.#all ? this.#all.values() : (this.#sole ? [this.#sole] : []).values();
  }
}
