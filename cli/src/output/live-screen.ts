import type { Output } from './output.ts';

/** A part of the terminal that is drawn again and again, without a flicker and without a trace in between. */
export class LiveScreen {
  readonly #output: Output;
  #lines = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Replaces what is shown. Lines beyond the height of the terminal are left out. */
  async draw(lines: readonly string[]): Promise<void> {
    const most = this.#output.height - 1;
    const shown =
      lines.length > most
        ? [...lines.slice(0, most - 1), `… ${lines.length - most + 1} more lines`]
        : lines;
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A` : '';
    const text = shown.map((line) => `\u001b[2K${line}\n`).join('');
    await this.#output.write(`\u001b[?25l${up}${text}\u001b[J`);
    this.#lines = shown.length;
  }

  /** Leaves the last picture, and shows the cursor again. */
  async end(): Promise<void> {
    await this.#output.write('\u001b[?25h');
  }
}
