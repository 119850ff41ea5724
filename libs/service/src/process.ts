import cluster from 'node:cluster';
import { ConfigurationError, redact, type Table, type Values } from '@tidemark/config';
import type { ListenOptions } from '@tidemark/http';
import {
  createAudit,
  createLogger,
  type Logger,
  startTracing,
  type Tracer,
} from '@tidemark/telemetry';
import { runProcesses } from './processes/run-processes.ts';
import { joinSiblings, type Siblings } from './processes/siblings.ts';

/** How long a stop may take besides the drain before the process exits with code 1. */
const STOP_RESERVE_MS = 5_000;

/** The settings that a process needs, in every service's configuration. */
export interface ServiceConfiguration {
  readonly logLevel: string;
  /** The file of the audit lines; empty puts them into the log. */
  readonly auditPath: string;
  readonly drainMs: number;
}

/** The process of a service, as its `start` sees it. */
export interface Lifetime {
  readonly logger: Logger;
  /** For what operators do. */
  readonly audit: Logger;
  /** It is off where the environment names no OTLP endpoint. */
  readonly tracer: Tracer;
  /** The processes that share the ports with this one. */
  readonly siblings: Siblings;
  /** Aborted when the stop begins, to end waits. */
  readonly signal: AbortSignal;
  /**
   * Registers a step of the stop. Steps run one after another in the order of registration. After one
   * that throws the others still run, and the exit code is 1.
   */
  onStop(step: () => void | Promise<void>): void;
}

/** A service to run as a process. */
export interface ServiceProcess<C extends ServiceConfiguration> {
  readonly name: string;
  /** The table of the configuration. With it the start logs the configuration, without secrets. */
  readonly settings?: Table;
  readonly configure: (environment: NodeJS.ProcessEnv) => C;
  /** How many processes share its ports on this machine, and where they listen; it is one process if absent. */
  readonly processes?: (configuration: C) => {
    readonly count: number;
    readonly addresses: readonly ListenOptions[];
  };
  /** Wires and starts the service. It may wait for NATS until the signal is aborted. */
  readonly start: (configuration: C, lifetime: Lifetime) => Promise<void>;
}

/**
 * Runs a service as this process; one of several processes is run as `runProcesses` says.
 *
 * SIGTERM, SIGINT and the end of a parent with an IPC channel stop it once: the steps of `onStop` run, and
 * the exit code is 0. SIGUSR2 turns debug lines on and off. A wrong configuration is printed in plain
 * lines. It ends the process with exit code 1, as does every error that nothing catches.
 *
 *     starting --start() resolves--> running --signal, or the parent ends--> stopping --> exited
 */
export function runService<C extends ServiceConfiguration>(service: ServiceProcess<C>): void {
  const configuration = orExit(() => service.configure(process.env));
  const siblings = joinSiblings(process.env);
  const logger = loggerOf(service.name, configuration.logLevel, siblings.number);
  const { count = 1, addresses = [] } = service.processes?.(configuration) ?? {};
  if (count > 1 && cluster.isPrimary) {
    const { name } = service;
    logConfiguration(service, configuration, logger);
    const stopMs = configuration.drainMs + STOP_RESERVE_MS;
    runProcesses({ name, count, addresses, stopMs, logger }).catch((error) =>
      endWith(error, logger),
    );
    return;
  }
  const audit = orExit(() => openAudit(service.name, configuration.auditPath, logger));
  if (siblings.count === 1) logConfiguration(service, configuration, logger);
  const stopping = new AbortController();
  const steps: (() => void | Promise<void>)[] = [];
  // It runs last, because the other steps may create spans.
  let endTracing = async (): Promise<void> => {};

  const fail = (error: unknown) => endWith(error, logger);

  const stop = async (reason: string) => {
    if (stopping.signal.aborted) return;
    logger.info({ reason }, 'stopping');
    stopping.abort();
    setTimeout(() => {
      logger.error('the stop took too long; ending before it is complete');
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
  process.on('SIGUSR2', () => turnDebug(logger, audit, configuration.logLevel));
  process.on('disconnect', () => stop('parent gone'));
  // The parent may have gone before the line above; without a channel this is undefined.
  if (process.connected === false) stop('parent gone');

  const { signal } = stopping;
  const onStop = (step: () => void | Promise<void>) => void steps.push(step);
  const start = async () => {
    const tracing = await startTracing({ service: service.name, environment: process.env, logger });
    endTracing = tracing.stop;
    signal.throwIfAborted();
    await service.start(configuration, {
      ...{ logger, audit, siblings, signal, onStop },
      tracer: tracing.tracer,
    });
  };
  start().catch((error) => {
    // The error of an aborted wait is part of the stop, which ends the process.
    if (!signal.aborted) fail(error);
  });
}

function loggerOf(service: string, level: string, number: number | undefined): Logger {
  const logger = createLogger(service, level);
  return number === undefined ? logger : logger.child({ process: number });
}

function logConfiguration<C extends ServiceConfiguration>(
  { settings }: ServiceProcess<C>,
  configuration: C,
  logger: Logger,
): void {
  if (!settings) return;
  const values = configuration as unknown as Values<Table>;
  logger.info({ configuration: redact(settings, values) }, 'configured');
}

/** Switches between `debug` and the configured level. */
function turnDebug(logger: Logger, audit: Logger, configured: string): void {
  logger.level = logger.level === configured ? 'debug' : configured;
  audit.info({ logLevel: logger.level }, 'log level changed');
}

function openAudit(service: string, path: string, logger: Logger): Logger {
  try {
    return createAudit({ service, logger, path });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigurationError([`TIDEMARK_AUDIT_LOG: ${path} cannot be appended to: ${code}`]);
  }
}

function orExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigurationError) exitWith(error);
    throw error;
  }
}

function endWith(error: unknown, logger: Logger): never {
  if (error instanceof ConfigurationError) exitWith(error);
  logger.fatal({ err: error }, 'ending after an unexpected error');
  process.exit(1);
}

function exitWith(error: ConfigurationError): never {
  console.error(error.message);
  process.exit(1);
}
