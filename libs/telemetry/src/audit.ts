import { openSync } from 'node:fs';
import { pino } from 'pino';
import { escapeMisleading, type Logger } from './logger.ts';

/** Where audit lines go. */
export interface AuditOptions {
  readonly service: string;
  /** Has the lines where there is no file. */
  readonly logger: Logger;
  /** The file that they are appended to; empty means that there is none. */
  readonly path: string;
}

/**
 * Creates the logger of audit lines, which tell what operators do: revocations, disconnects, tickets of
 * operators. Each has `audit: true`. They are written whatever the level of the log is. With a file of
 * their own nothing that clients do can push them out.
 *
 * @throws Error where the file cannot be opened
 */
export function createAudit({ service, logger, path }: AuditOptions): Logger {
  if (path === '') return logger.child({ audit: true }, { level: 'info' });
  const output = pino.destination({ fd: openSync(path, 'a', 0o600), sync: true });
  const base = { service, audit: true };
  const options = { level: 'info', base, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, { write: (line: string) => output.write(escapeMisleading(line)) });
}
