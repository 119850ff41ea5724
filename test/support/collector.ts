import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** As in services.ts: where the last test looks for secrets. */
const { LOGGED_FILE } = process.env;

/** What begins a line of exported text in that file. */
export const EXPORTED = 'exported: ';

/** Takes what services export over OTLP, as a backend for traces would. */
export interface Collector {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  /** All texts of all spans, attributes and events; protobuf has them as they are. */
  readonly texts: readonly string[];
  stop(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const texts: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const found = body.toString('latin1').match(/[\x20-\x7e]{3,}/g) ?? [];
    texts.push(...found);
    if (LOGGED_FILE)
      appendFileSync(LOGGED_FILE, found.map((one) => `${EXPORTED}${one}\n`).join(''));
    response.setHeader('content-type', 'application/x-protobuf');
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    texts,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
