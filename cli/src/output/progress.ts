import { formatDuration } from './format.ts';
import type { Output } from './output.ts';

const REDRAW_MS = 100;
const BAR_WIDTH = 24;
const PLAIN_MS = 5000;

/** Shows how far a long step is: a bar on a terminal, otherwise a line every five seconds. */
export class Progress {
  readonly #output: Output;
  readonly #label: string;
  readonly #startMs = performance.now();
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output, label: string) {
    this.#output = output;
    this.#label = label;
    if (!output.hasLiveMessages) this.#shownMs = this.#startMs;
  }

  /** Shows a fraction from 0 to 1, `undefined` where nobody knows, and a few words. */
  show(fraction: number | undefined, words: string): void {
    const nowMs = performance.now();
    const live = this.#output.hasLiveMessages;
    if (nowMs - this.#shownMs < (live ? REDRAW_MS : PLAIN_MS)) return;
    this.#shownMs = nowMs;
    const text = `${this.#describe(fraction, nowMs)}${words}`;
    if (live) this.#draw(text);
    else if (!this.#output.json) this.#output.message(`${this.#label} ${text}`);
  }

  /** Takes the bar away, so that other lines can be written. It comes back with the next `show`. */
  clear(): void {
    this.#output.clearLive();
    if (this.#output.hasLiveMessages) this.#shownMs = Number.NEGATIVE_INFINITY;
  }

  #describe(fraction: number | undefined, nowMs: number): string {
    if (fraction === undefined) return '';
    const part = Math.min(1, Math.max(0, fraction));
    const elapsedMs = nowMs - this.#startMs;
    const left =
      part > 0.01 && part < 1 ? `, ${formatDuration((elapsedMs * (1 - part)) / part)} left` : '';
    return `${this.#bar(part)}${Math.floor(100 * part)} %${left}, `;
  }

  #bar(part: number): string {
    if (!this.#output.hasLiveMessages) return '';
    const full = Math.round(part * BAR_WIDTH);
    return `[${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}] `;
  }

  #draw(text: string): void {
    const width = Math.max(10, this.#output.messageWidth - 1);
    const line = [...`${this.#label} ${text}`].slice(0, width).join('');
    this.#output.live(this.#output.messageStyle('cyan', line));
  }
}
