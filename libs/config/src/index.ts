import {
  type common,
  gateway,
  gatewayRelations,
  ingest,
  ingestRelations,
  knownVariables,
  replay,
  replayRelations,
  type stream,
} from './settings.ts';
import { type Environment, readConfiguration, type Values } from './table.ts';
import type { tokens } from './token-settings.ts';

export { OLDEST_NATS_SERVER } from './defaults.mjs';
export * from './limit-settings.ts';
export * from './settings.ts';
export * from './suggestion.ts';
export * from './table.ts';
export * from './token-settings.ts';

export type IngestConfiguration = Values<typeof ingest>;
export type GatewayConfiguration = Values<typeof gateway>;
export type ReplayConfiguration = Values<typeof replay>;
/** How NATS is reached. */
export type NatsConfiguration = Pick<
  Values<typeof common>,
  'natsUrl' | 'natsUser' | 'natsPassword' | 'natsTlsCa'
>;
/** What is taken of one address, in every service alike. */
export type AddressConfiguration = Pick<
  Values<typeof common>,
  'trustedProxies' | 'refusalsPerSecondMax'
>;
export type StreamConfiguration = Values<typeof stream>;

/** What decides which tokens are accepted. */
export type TokenConfiguration = Values<typeof tokens>;

export function readIngestConfiguration(environment: Environment): IngestConfiguration {
  return readConfiguration(environment, {
    table: ingest,
    relations: ingestRelations,
    known: knownVariables,
  });
}

export function readGatewayConfiguration(environment: Environment): GatewayConfiguration {
  return readConfiguration(environment, {
    table: gateway,
    relations: gatewayRelations,
    known: knownVariables,
  });
}

export function readReplayConfiguration(environment: Environment): ReplayConfiguration {
  return readConfiguration(environment, {
    table: replay,
    relations: replayRelations,
    known: knownVariables,
  });
}

/** How long a revocation has to be kept: as long as a token could be shown that it concerns. */
export function revocationSeconds(
  settings: Pick<TokenConfiguration, 'tokenLifetimeSecondsMax' | 'tokenClockToleranceSeconds'>,
): number {
  return settings.tokenLifetimeSecondsMax + 2 * settings.tokenClockToleranceSeconds;
}
