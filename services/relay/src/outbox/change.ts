/** Whether something has changed since it was last looked at, for one who may wait for it. */
export class Change {
  #noted = false;
  #wake: () => void = () => {};

  note(): void {
    this.#noted = true;
    this.#wake();
  }

  /** What changes from now on is new. */
  forget(): void {
    this.#noted = false;
  }

  /** Resolves when something has changed, after `ms`, or when the signal is aborted. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#noted || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
      this.#wake = end;
    });
  }
}
