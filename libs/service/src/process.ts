import { ConfigurationError, redact, type Table, type Values } from '@tidemark/config';
import { createLogger, type Logger, startTracing, type Tracer } from '@tidemark/telemetry';

/** How much longer than the drain a whole stop may take before the process is ended anyway. */
const STOP_RESERVE_MS = 5_000;

/** What every service's configuration has. */
export interface ServiceConfiguration {
  readonly logLevel: string;
  readonly drainMs: number;
}

export interface Lifetime {
  readonly logger: Logger;
  /** Off where the environment names no OTLP endpoint. */
  readonly tracer: Tracer;
  /** Aborted when the process is told to stop, for waits that would hold it up. */
  readonly signal: AbortSignal;
  /**
   * Registers a step of the stop. Steps run one after another as registered, the outside first; one
   * that throws does not keep the others from running.
   */
  onStop(step: () => void | Promise<void>): void;
}

export interface ServiceProcess<C extends ServiceConfiguration> {
  readonly name: string;
  /** What the configuration was read from; with it the start says how the service is configured. */
  readonly settings?: Table;
  readonly configure: (environment: NodeJS.ProcessEnv) => C;
  /** Wires the service; it may go on waiting for NATS as long as the signal is not aborted. */
  readonly start: (configuration: C, lifetime: Lifetime) => Promise<void>;
}

/**
 * Runs a service as this process. SIGTERM, SIGINT and the end of a parent with an IPC channel stop
 * it once, in order, with exit code 0. SIGUSR2 turns debug lines on and off. A configuration that is wrong is said in plain lines; that
 * and every fault that nothing caught end it with exit code 1.
 */
export function runService<C extends ServiceConfiguration>(service: ServiceProcess<C>): void {
  const configuration = orExit(() => service.configure(process.env));
  const logger = createLogger(service.name, configuration.logLevel);
  const { settings } = service;
  if (settings) {
    const values = configuration as unknown as Values<Table>;
    logger.info({ configuration: redact(settings, values) }, 'configured');
  }
  const stopping = new AbortController();
  const steps: (() => void | Promise<void>)[] = [];
  // The last step: the others have spans of their own.
  let endTracing = async (): Promise<void> => {};

  const fail = (error: unknown) => {
    if (error instanceof ConfigurationError) exitWith(error);
    logger.fatal({ err: error }, 'ending after a fault');
    process.exit(1);
  };

  const stop = async (reason: string) => {
    if (stopping.signal.aborted) return;
    logger.info({ reason }, 'stopping');
    stopping.abort();
    setTimeout(() => {
      logger.error('the stop took too long; ending with work left');
      process.exit(1);
    }, configuration.drainMs + STOP_RESERVE_MS);
    let code = 0;
    for (const step of [...steps, () => endTracing()]) {
      try {
        await step();
      } catch (error) {
        logger.error({ err: error }, 'a step of the stop failed; the others go on');
        code = 1;
      }
    }
    logger.info('stopped');
    process.exit(code);
  };

  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop(name));
  process.on('SIGUSR2', () => turnDebug(logger, configuration.logLevel));
  process.on('disconnect', () => stop('parent gone'));
  // The parent may have gone before the line above; without a channel this is undefined.
  if (process.connected === false) stop('parent gone');

  const { signal } = stopping;
  const onStop = (step: () => void | Promise<void>) => void steps.push(step);
  const start = async () => {
    const tracing = await startTracing({ service: service.name, environment: process.env, logger });
    endTracing = tracing.stop;
    signal.throwIfAborted();
    await service.start(configuration, { logger, tracer: tracing.tracer, signal, onStop });
  };
  start().catch((error) => {
    // What an aborted wait throws is part of the stop, which ends the process itself.
    if (!signal.aborted) fail(error);
  });
}

/** SIGUSR2 turns debug lines on, and the next one back to what the configuration says. */
function turnDebug(logger: Logger, configured: string): void {
  logger.level = logger.level === configured ? 'debug' : configured;
  logger.info({ logLevel: logger.level }, 'log level changed');
}

function orExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigurationError) exitWith(error);
    throw error;
  }
}

function exitWith(error: ConfigurationError): never {
  console.error(error.message);
  process.exit(1);
}
