import { type Logger as PinoLogger, pino } from 'pino';

/** A logger. `logger` in the code; `log` is the event log. */
export type Logger = PinoLogger;

/** Pretty output: one line for each JSON line. */
const PRETTY = {
  target: 'pino-pretty',
  options: { singleLine: true, translateTime: 'HH:MM:ss.l', ignore: 'service,configuration' },
};

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
  return pino(options, pino.destination({ fd: 1, sync: true }));
}
