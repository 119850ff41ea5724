import { z } from 'zod';
import { CURSOR } from './cursors.ts';
import { rebuildShape } from './rebuilds.ts';
import { CURSOR_JSON, withJson } from './schemas.ts';

/*
 * Bulletins: what each service process publishes of its own figures once a second, and what `GET /v1/admin/stats`
 * makes of them (PROTOCOL.md section 13.6). Processes of two versions may run beside each other, so unknown fields are
 * left out, and each side checks what the other sent.
 */

/** Largest bulletin, in bytes. A larger one is not read. */
export const BULLETIN_BYTES_MAX = 8 * 1024;

/** Most buckets of a distribution. */
const BUCKETS_MAX = 40;

/** The services that publish bulletins. */
export const REPORTING_SERVICES = ['gateway', 'ingest', 'replay'] as const;

/** One of the services that publish bulletins. */
export type ReportingService = (typeof REPORTING_SERVICES)[number];

const count = z.int().min(0);
const rate = z.number().min(0);
const cursor = withJson(z.string().regex(CURSOR).nullable(), {
  anyOf: [CURSOR_JSON, { type: 'null' }],
});

/** The median and the 99th percentile of times, in ms; `null` where there were none. */
export const percentilesShape = z
  .object({ p50: z.number().min(0), p99: z.number().min(0) })
  .nullable()
  .meta({ description: 'In ms, of the last 10 s; null where there was nothing to measure.' });

/** The median and the 99th percentile of times, in ms. */
export type Percentiles = z.infer<typeof percentilesShape>;

/** How many values were at most each of some bounds, and last those above all. The counts are not cumulative. */
const distributionShape = z.object({
  bounds: z.array(z.number()).max(BUCKETS_MAX),
  counts: z.array(count).max(BUCKETS_MAX + 1),
});

/** The name of a service process: its host, and random digits. */
export const instanceShape = z.string().regex(/^[A-Za-z0-9._-]{1,80}$/);

const common = {
  instance: instanceShape,
  version: z.string().max(40),
  startedAt: z.iso.datetime(),
  ready: z.boolean().meta({ description: 'As `/readyz` says.' }),
  memoryBytes: count.meta({ description: 'Resident memory of the process.' }),
};

const gatewayFigures = {
  connections: z.object({ websocket: count, sse: count }),
  subscriptions: count,
  slow: count.meta({ description: 'Connections that are slow (section 13.5).' }),
  catchUps: count.meta({ description: 'Connections that catch up, with those that are slow.' }),
  eventsInPerSecond: rate,
  eventsOutPerSecond: rate,
  bytesOutPerSecond: rate,
  deliveryMs: percentilesShape,
  fellBehind: count.meta({ description: 'Times that a connection fell behind, since the start.' }),
  head: cursor,
};

const ingestFigures = {
  eventsPerSecond: rate,
  refusedPerSecond: rate.meta({ description: 'Requests that were answered with an error.' }),
  duplicatesPerSecond: rate,
  appendMs: percentilesShape,
  store: z.enum(['ok', 'full', 'stuck', 'offline']),
};

const replayFigures = {
  position: cursor,
  first: cursor,
  behind: count.meta({ description: 'Events that the stream has and the archive lacks.' }),
  events: count,
  bytes: count.meta({ description: 'Of the file of the database.' }),
  requestsPerSecond: rate,
  rebuild: rebuildShape.nullable(),
};

const gatewayService = z.literal('gateway');
const ingestService = z.literal('ingest');
const replayService = z.literal('replay');

const bulletinShape = z.discriminatedUnion('service', [
  z.object({
    service: gatewayService,
    ...common,
    ...gatewayFigures,
    /** The delivery times of the last 10 s in ms, so that those of several gateways can be put together. */
    deliveries: distributionShape,
    leaving: z.literal(true).exactOptional(),
  }),
  z.object({
    service: ingestService,
    ...common,
    ...ingestFigures,
    leaving: z.literal(true).exactOptional(),
  }),
  z.object({
    service: replayService,
    ...common,
    ...replayFigures,
    leaving: z.literal(true).exactOptional(),
  }),
]);

/** The figures of one service process, as it publishes them. `leaving` is set in its last one. */
export type Bulletin = z.infer<typeof bulletinShape>;

/** The bulletin of one kind of service. */
export type BulletinOf<S extends ReportingService> = Extract<Bulletin, { service: S }>;

const seen = {
  seenMs: count.meta({ description: 'Since its last bulletin, in ms.' }),
};

/** One service process in the answer of `GET /v1/admin/stats`. */
export const serviceStatsShape = z
  .discriminatedUnion('service', [
    z.object({ service: gatewayService, ...common, ...seen, ...gatewayFigures }),
    z.object({ service: ingestService, ...common, ...seen, ...ingestFigures }),
    z.object({ service: replayService, ...common, ...seen, ...replayFigures }),
  ])
  .meta({ id: 'ServiceStats' });

/** One service process in the answer of `GET /v1/admin/stats`. */
export type ServiceStats = z.infer<typeof serviceStatsShape>;

/** The answer of `GET /v1/admin/stats`. */
export const statsShape = z
  .object({
    time: z.iso.datetime(),
    together: z.object({
      gateways: count,
      connections: count,
      slow: count,
      catchUps: count,
      eventsInPerSecond: rate.meta({ description: 'That of the gateway that receives most.' }),
      eventsOutPerSecond: rate,
      bytesOutPerSecond: rate,
      deliveryMs: percentilesShape,
    }),
    services: z.array(serviceStatsShape),
  })
  .meta({ id: 'Stats' });

/** The answer of `GET /v1/admin/stats`. */
export type Stats = z.infer<typeof statsShape>;

/**
 * Reads a bulletin.
 *
 * @returns `undefined` for what is none, or is larger than `BULLETIN_BYTES_MAX`
 */
export function parseBulletin(bytes: Uint8Array): Bulletin | undefined {
  if (bytes.length > BULLETIN_BYTES_MAX) return undefined;
  try {
    return bulletinShape.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data;
  } catch {
    return undefined;
  }
}
