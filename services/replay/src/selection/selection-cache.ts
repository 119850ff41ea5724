import type { Selection } from './selection.ts';

/**
 * Most selections that are kept. Each takes up to 1 MiB: the names of 1,000 topics, 10,000 verdicts and
 * 65,536 sequences read ahead.
 */
const KEPT_MAX = 32;

interface Kept {
  readonly selection: Selection;
  readonly revision: number;
}

/**
 * Keeps the selections that were used last. A client asks for its pages one after another. With one
 * selection for all of them, the names are looked up once, and the merge goes on where it was.
 */
export class SelectionCache {
  readonly #kept = new Map<string, Kept>();

  /**
   * The selection of a key, kept or new.
   *
   * @param from the sequence that it must know, at least
   * @param revision of the archive; a selection of another one is not used
   */
  get(key: string, needed: { from: number; revision: number }, create: () => Selection): Selection {
    const { from, revision } = needed;
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    const isUsable = kept?.revision === revision && kept.selection.through >= from;
    const selection = isUsable ? kept.selection : create();
    this.#kept.set(key, { selection, revision });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return selection;
  }
}
