import { once } from 'node:events';
import { styleText } from 'node:util';

/** A format of `styleText`. */
export type Style = Parameters<typeof styleText>[0];

/** What an output is made from. */
export interface OutputOptions {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** `NO_COLOR`, `TERM` and `COLUMNS` count. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly json?: boolean;
  /** `false`: `--no-color`. */
  readonly color?: boolean;
  readonly quiet?: boolean;
}

const WIDTH = 80;

/** To the beginning of the line, and nothing on it. */
const REPLACE_LINE = '\r\u001b[2K';

/** Where results and messages go: results to stdout, everything that is about them to stderr. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #options: OutputOptions;
  #isLive = false;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.json = options.json === true;
    this.quiet = options.quiet === true;
  }

  /** Whether a person looks at the results. */
  get isTerminal(): boolean {
    return this.#options.stdout.isTTY === true;
  }

  /** Whether a person looks at the messages, so that they may move. */
  get hasLiveMessages(): boolean {
    return this.#options.stderr.isTTY === true && !this.quiet && !this.json;
  }

  /** Columns of the results; 80 where nobody knows. */
  get width(): number {
    const { stdout, environment } = this.#options;
    return stdout.columns || Number(environment.COLUMNS) || WIDTH;
  }

  /** Rows of the terminal. */
  get height(): number {
    return this.#options.stdout.rows || 24;
  }

  /** Columns of the messages. */
  get messageWidth(): number {
    return this.#options.stderr.columns || WIDTH;
  }

  /** Writes a line of the result, and waits while its reader takes none. */
  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** Writes a value as one line of JSON. */
  async data(value: unknown): Promise<void> {
    await this.line(JSON.stringify(value));
  }

  /** Writes to stdout as it is. */
  async write(text: string): Promise<void> {
    const { stdout } = this.#options;
    if (!stdout.write(text)) await once(stdout, 'drain');
  }

  /** Tells something about the result, unless `--quiet` says not to. */
  message(text: string): void {
    if (this.quiet) return;
    this.error(text);
  }

  /** Tells what went wrong. */
  error(text: string): void {
    this.clearLive();
    this.#options.stderr.write(`${text}\n`);
  }

  /** Shows a line that the next one replaces, and any other message too. */
  live(text: string): void {
    this.#options.stderr.write(`${REPLACE_LINE}${text}`);
    this.#isLive = true;
  }

  /** Takes the live line away. */
  clearLive(): void {
    if (this.#isLive) this.#options.stderr.write(REPLACE_LINE);
    this.#isLive = false;
  }

  /** Styles a part of a result, where a terminal shows it and nothing forbids it. */
  style(format: Style, text: string): string {
    return this.#isStyled(this.#options.stdout) ? styled(format, text) : text;
  }

  /** Styles a part of a message. */
  messageStyle(format: Style, text: string): string {
    return this.#isStyled(this.#options.stderr) ? styled(format, text) : text;
  }

  #isStyled(stream: NodeJS.WriteStream): boolean {
    const { color, environment } = this.#options;
    return (
      stream.isTTY === true &&
      color !== false &&
      !environment.NO_COLOR &&
      environment.TERM !== 'dumb'
    );
  }
}

function styled(format: Style, text: string): string {
  return styleText(format, text, { validateStream: false });
}
