import { type Logger as PinoLogger, pino } from 'pino';

/** A logger. `logger` in the code; `log` is the event log. */
export type Logger = PinoLogger;

/** Pretty output: one line for each JSON line. */
const PRETTY = {
  target: 'pino-pretty',
  options: { singleLine: true, translateTime: 'HH:MM:ss.l', ignore: 'service,configuration' },
};

/** Characters that JSON leaves as they are, and that change how a terminal shows a line. */
const MISLEADING = /[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f]/gu;

/**
 * Creates a logger that writes JSON lines to standard output, or pretty lines to a terminal. Callers never
 * give it payloads or tokens.
 *
 * @param service the `service` of each line
 * @param level the lowest level that is written: `fatal`, `error`, `warn`, `info`, `debug`, `trace` or
 *   `silent`
 */
export function createLogger(service: string, level: string): Logger {
  const options = { level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime };
  if (process.stdout.isTTY) return pino({ ...options, transport: PRETTY });
  // Synchronous, so that the last lines before an exit are written, in order.
  const output = pino.destination({ fd: 1, sync: true });
  const lines = new TurnLines((text) => output.write(escapeMisleading(text)));
  process.once('exit', () => lines.flush());
  return pino(options, lines);
}

/** Characters that wait at most, so that a turn with very many lines holds little memory. */
const WAITING_MAX = 64 * 1024;

/**
 * Writes the lines of one turn of the loop together. A write is a system call of 5 to 10 µs, and when thousands of
 * clients connect at once, each causes several lines. Only a process that is killed within the turn loses its lines.
 */
export class TurnLines {
  readonly #write: (text: string) => void;
  #text = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  write(line: string): void {
    if (this.#text === '') setImmediate(() => this.flush());
    this.#text += line;
    if (this.#text.length >= WAITING_MAX) this.flush();
  }

  flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#write(text);
  }
}

/**
 * Escapes characters that are not seen, or that turn the text after them around: a user chooses a `sub`
 * with them to look like another. In a line of JSON they can be in texts alone.
 */
export function escapeMisleading(line: string): string {
  return line.replace(MISLEADING, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}
