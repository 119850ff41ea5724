import { type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

/** For people: a line each, as in JSON. */
const PRETTY = {
  target: 'pino-pretty',
  options: { singleLine: true, translateTime: 'HH:MM:ss.l', ignore: 'service,configuration' },
};

/**
 * A JSON logger on standard output, pretty in a terminal. Payloads and tokens are never given to
 * it; the serializers cut an error down to what may be shown.
 */
export function createLogger(service: string, level: string): Logger {
  const options = { level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime };
  if (process.stdout.isTTY) return pino({ ...options, transport: PRETTY });
  // Synchronous, so that the last lines before an exit are written, and in order.
  return pino(options, pino.destination({ fd: 1, sync: true }));
}
