import { type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

/**
 * A JSON logger on standard output, pretty in a terminal. Payloads and tokens are never given to
 * it; the serializers cut an error down to what may be shown.
 */
export function createLogger(service: string, level: string): Logger {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(process.stdout.isTTY ? { transport: { target: 'pino-pretty' } } : {}),
  });
}
