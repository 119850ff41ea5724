import type { BulletinBoard } from '@tidemark/nats';
import {
  type Bulletin,
  type ServiceStats,
  type Stats,
  serviceStatsShape,
} from '@tidemark/protocol';
import { mergeDistributions, percentilesOf, toTenth } from '@tidemark/telemetry';

/** What the services say of themselves, and the gateways together (PROTOCOL.md section 13.6). */
export function statsOf(board: BulletinBoard, wallMs: number): Stats {
  const gateways = board.of('gateway').map(({ bulletin }) => bulletin);
  const sum = (read: (gateway: (typeof gateways)[number]) => number) => {
    return gateways.reduce((total, gateway) => total + read(gateway), 0);
  };
  return {
    time: new Date(wallMs).toISOString(),
    together: {
      gateways: gateways.length,
      connections: sum(({ connections: { websocket, sse } }) => websocket + sse),
      slow: sum(({ slow }) => slow),
      catchUps: sum(({ catchUps }) => catchUps),
      // Every gateway receives every event, so these are not added up.
      eventsInPerSecond: Math.max(0, ...gateways.map((gateway) => gateway.eventsInPerSecond)),
      eventsOutPerSecond: toTenth(sum((gateway) => gateway.eventsOutPerSecond)),
      bytesOutPerSecond: toTenth(sum((gateway) => gateway.bytesOutPerSecond)),
      deliveryMs: percentilesOf(mergeDistributions(gateways.map((one) => one.deliveries))),
    },
    services: board.list().map(({ bulletin, seenMs }) => toServiceStats(bulletin, seenMs)),
  };
}

/** Leaves out what is for gateways alone. */
function toServiceStats(bulletin: Bulletin, seenMs: number): ServiceStats {
  return serviceStatsShape.parse({ ...bulletin, seenMs });
}
