import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A proxy that passes an answer on when it is complete, keeps what has no end to itself, and knows no upgrade. */
export interface HoldingProxy {
  readonly url: string;
  /** While it is set, no answer at all is passed on; requests are. */
  isSilent: boolean;
  stop(): void;
}

/** Starts a proxy in front of a base URL. */
export async function startHoldingProxy(target: string): Promise<HoldingProxy> {
  const server = createServer((request, response) => {
    const { method, headers, url } = request;
    const passed = forward(`${target}${url}`, { method, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', () => undefined);
      answer.on('end', () => {
        if (proxy.isSilent) return;
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.end(Buffer.concat(parts));
      });
    });
    passed.on('error', () => response.destroy());
    response.on('close', () => passed.destroy());
    request.pipe(passed);
  });
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy: HoldingProxy = {
    url: `http://127.0.0.1:${port}`,
    isSilent: false,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return proxy;
}
