import type { common } from './common-settings.ts';
import { gateway, gatewayRelations } from './gateway-settings.ts';
import { ingest, ingestRelations } from './ingest-settings.ts';
import { relay, relayRelations } from './relay-settings.ts';
import { replay, replayRelations, type stream } from './replay-settings.ts';
import { knownVariables } from './settings.ts';
import { type Environment, readConfiguration, type Values } from './table.ts';
import type { tokens } from './token-settings.ts';

export * from './command-line-settings.ts';
export * from './common-settings.ts';
export { INGEST_API, JETSTREAM_API, NODE_ARGUMENTS, natsServerFault } from './defaults.mjs';
export * from './gateway-settings.ts';
export * from './ingest-settings.ts';
export * from './launcher-settings.ts';
export * from './limit-settings.ts';
export * from './relay-settings.ts';
export * from './replay-settings.ts';
export * from './settings.ts';
export * from './suggestion.ts';
export * from './table.ts';
export * from './token-settings.ts';

/** The configuration of ingest. */
export type IngestConfiguration = Values<typeof ingest>;
/** The configuration of the gateway. */
export type GatewayConfiguration = Values<typeof gateway>;
/** The configuration of replay. */
export type ReplayConfiguration = Values<typeof replay>;
/** The configuration of the relay of an outbox. */
export type RelayConfiguration = Values<typeof relay>;
/** Where NATS is, and how a service connects to it. */
export type NatsConfiguration = Pick<
  Values<typeof common>,
  'natsUrl' | 'natsUser' | 'natsPassword' | 'natsTlsCa' | 'natsApiPrefix' | 'natsLenient'
>;
/** The limits of one address, and the proxies that speak for addresses. */
export type AddressConfiguration = Pick<
  Values<typeof common>,
  'trustedProxies' | 'refusalsPerSecondMax'
>;
/** The secrets that stored records are authenticated with. */
export type RecordConfiguration = Pick<
  Values<typeof common>,
  'recordSecret' | 'recordOldSecrets' | 'tokenSecret' | 'tokenOldSecrets'
>;
/** The configuration of the stream. */
export type StreamConfiguration = Values<typeof stream>;

/** The settings that decide which tokens are accepted. */
export type TokenConfiguration = Values<typeof tokens>;

/**
 * Reads the configuration of ingest.
 *
 * @throws ConfigurationError that names every fault
 */
export function readIngestConfiguration(environment: Environment): IngestConfiguration {
  return readConfiguration(environment, {
    table: ingest,
    relations: ingestRelations,
    known: knownVariables,
  });
}

/**
 * Reads the configuration of the gateway.
 *
 * @throws ConfigurationError that names every fault
 */
export function readGatewayConfiguration(environment: Environment): GatewayConfiguration {
  return readConfiguration(environment, {
    table: gateway,
    relations: gatewayRelations,
    known: knownVariables,
  });
}

/**
 * Reads the configuration of replay.
 *
 * @throws ConfigurationError that names every fault
 */
export function readReplayConfiguration(environment: Environment): ReplayConfiguration {
  return readConfiguration(environment, {
    table: replay,
    relations: replayRelations,
    known: knownVariables,
  });
}

/**
 * Reads the configuration of the relay.
 *
 * @throws ConfigurationError that names every fault
 */
export function readRelayConfiguration(environment: Environment): RelayConfiguration {
  return readConfiguration(environment, {
    table: relay,
    relations: relayRelations,
    known: knownVariables,
  });
}

/** How long a revocation must be kept, in seconds: as long as a token that it covers may be valid. */
export function revocationSeconds(
  settings: Pick<TokenConfiguration, 'tokenLifetimeSecondsMax' | 'tokenClockToleranceSeconds'>,
): number {
  return settings.tokenLifetimeSecondsMax + 2 * settings.tokenClockToleranceSeconds;
}
