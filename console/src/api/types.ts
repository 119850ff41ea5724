import type {
  AdminStream,
  AdminTrace,
  ConnectionInfo,
  ConnectionList,
  ServiceStats,
  Stats,
} from '@tidemark/protocol';

/*
 * What the console reads of the services, by PROTOCOL sections 8.5, 11 (history), 13 (admin) and 14 (inboxes). These are types
 * alone: no code of the protocol library is in the page.
 */

export type {
  AdminStream as Stream,
  AdminTrace as Trace,
  ConnectionInfo as Connection,
  ConnectionList,
  Me,
  Percentiles,
  RebuildStatus as Rebuild,
  ServiceStats,
  Stats,
  StreamList,
} from '@tidemark/protocol';

/** `GET console/configuration.json`, which needs no token. */
export interface Configuration {
  readonly version: string;
  /** `null` is the origin that the page came from. */
  readonly gateway: string | null;
  readonly replay: string | null;
  /** Whether traces can be read. */
  readonly traces: boolean;
}

export type ConnectionSubscription = ConnectionInfo['subscriptions'][number];
export type SubscriptionState = ConnectionSubscription['state'];
export type GatewayAnswer = ConnectionList['gateways'][number];

/** Figures of all gateways together. */
export type Together = Stats['together'];
export type GatewayStats = Extract<ServiceStats, { service: 'gateway' }>;
export type IngestStats = Extract<ServiceStats, { service: 'ingest' }>;
export type ReplayStats = Extract<ServiceStats, { service: 'replay' }>;

export type StreamReplica = AdminStream['replicas'][number];
export type Span = AdminTrace['spans'][number];

/** A CloudEvent in JSON (PROTOCOL 3). */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly topic: string;
  readonly time?: string;
  readonly publisher?: string;
  readonly traceparent?: string;
  readonly data?: unknown;
  readonly [attribute: string]: unknown;
}
