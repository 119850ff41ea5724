import { readdirSync, readFileSync } from 'node:fs';
import { type OpenPage, publicFile } from '@tidemark/http';
import type { Logger } from '@tidemark/telemetry';

/**
 * The client library for pages without a bundler: `/client.js`, and the parts that it loads itself. Their names are those
 * of the files that `libs/client/bundle.mjs` makes.
 */
export function clientFiles(logger: Logger): OpenPage[] {
  const folder = new URL('./', import.meta.resolve('@tidemark/client/browser/client.js'));
  try {
    return readdirSync(folder).map((name) =>
      publicFile({
        path: `/${name}`,
        summary: `The client library: ${name}`,
        type: 'text/javascript',
        text: readFileSync(new URL(name, folder), 'utf8'),
      }),
    );
  } catch (err) {
    logger.warn({ err }, 'there is no client library to serve: npm run build makes it');
    return [];
  }
}
