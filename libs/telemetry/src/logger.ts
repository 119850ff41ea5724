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
  return pino(options, { write: (line: string) => output.write(escapeMisleading(line)) });
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
