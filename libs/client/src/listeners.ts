import type { Cancel } from './environment.ts';

/** Functions that hear of something. One that throws does not keep the others from hearing. */
export class Listeners<Args extends readonly unknown[]> {
  readonly #all = new Set<(...args: Args) => void>();

  add(handle: (...args: Args) => void): Cancel {
    // Twice the same function is heard twice, and ended once each.
    const one = (...args: Args) => handle(...args);
    this.#all.add(one);
    return () => this.#all.delete(one);
  }

  tell(...args: Args): void {
    for (const handle of this.#all) {
      try {
        handle(...args);
      } catch (error) {
        // As with listeners of the platform: the page's handler of errors hears of it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
