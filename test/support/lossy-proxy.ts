import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of the requests to a proxy: `request` and `answer` name what is lost. */
export type Loss = 'none' | 'request' | 'answer';

/** HTTP between a client and a service, in which requests or answers get lost. */
export interface LossyProxy {
  readonly url: string;
  loss: Loss;
  /** Requests that came. */
  readonly requests: number;
  stop(): Promise<void>;
}

export async function startLossyProxy(target: string): Promise<LossyProxy> {
  let loss: Loss = 'none';
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests++;
    const body = await readAll(request);
    if (loss === 'request') return void request.destroy();
    const headers = Object.entries(request.headers).filter(
      ([name]) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(name),
    );
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method ?? 'GET',
      headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
      ...(body.length > 0 && { body }),
    }).catch(() => undefined);
    const text = await answer?.text();
    if (!answer || loss === 'answer') return void request.destroy();
    for (const name of ['content-type', 'preference-applied', 'retry-after']) {
      const value = answer.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(answer.status).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get loss() {
      return loss;
    },
    set loss(value) {
      loss = value;
    },
    get requests() {
      return requests;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}
