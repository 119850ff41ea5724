import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A gateway that answers the calls about connections and figures, with what a test wants to be shown. */
export async function startFakeAdmin(
  connections: readonly object[],
): Promise<{ readonly url: string; readonly server: Server; readonly requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    if (pathname === '/v1/admin/connections') {
      const from = Number(searchParams.get('after') ?? 0);
      const to = from + Math.min(2, Number(searchParams.get('limit')));
      const isMore = to < connections.length;
      response.end(
        JSON.stringify({
          items: connections.slice(from, to),
          gateways: [
            { gateway: 'g1', connections: connections.length, answered: true },
            { gateway: 'g2', connections: 0, answered: false },
          ],
          next: isMore ? String(to) : null,
          complete: !isMore,
        }),
      );
    } else if (request.headers.accept === 'text/event-stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const rate of [1, 2, 3]) {
        response.write(`: heartbeat\n\nevent: stats\ndata: ${JSON.stringify(stats(rate))}\n\n`);
      }
    } else response.end(JSON.stringify(stats(1)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, server, requests };
}

function stats(eventsInPerSecond: number): object {
  return {
    time: '2026-01-31T08:00:00.000Z',
    together: {
      gateways: 1,
      connections: 1234,
      slow: 1,
      catchUps: 2,
      eventsInPerSecond,
      eventsOutPerSecond: 20,
      bytesOutPerSecond: 2000,
      deliveryMs: { p50: 1.5, p99: 12 },
    },
    services: [
      {
        service: 'gateway',
        instance: 'g1',
        version: '0.1.0',
        startedAt: '2026-01-31T07:00:00.000Z',
        seenMs: 100,
        ready: true,
        connections: { websocket: 1200, sse: 34 },
        subscriptions: 1234,
        slow: 1,
        catchUps: 2,
        eventsInPerSecond,
        eventsOutPerSecond: 20,
        bytesOutPerSecond: 2000,
        deliveryMs: null,
        fellBehind: 0,
        head: 'x-1',
        memoryBytes: 100_000_000,
      },
      {
        service: 'ingest',
        instance: 'i1',
        version: '0.1.0',
        startedAt: '2026-01-31T07:00:00.000Z',
        seenMs: 9000,
        ready: true,
        eventsPerSecond: 10,
        refusedPerSecond: 0,
        duplicatesPerSecond: 0,
        appendMs: null,
        store: 'full',
        memoryBytes: 50_000_000,
      },
    ],
  };
}
