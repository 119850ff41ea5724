import { z } from 'zod';
import { EncodedFile } from './encoded-file.ts';
import type { OpenPage } from './pages.ts';

/** A file that every page may load, from wherever it is. */
export interface PublicFile {
  readonly path: string;
  readonly summary: string;
  /** Its media type. */
  readonly type: string;
  readonly text: string;
}

const HEADERS = {
  // Asked for again each time, and answered by 304: a page and the gateway have the same version.
  'Cache-Control': 'no-cache',
  'X-Content-Type-Options': 'nosniff',
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** A GET that answers a file, compressed where the client takes that, with an ETag by which it need not load it again. */
export function publicFile({ path, summary, type, text }: PublicFile): OpenPage {
  const headers = z.object({ ETag: z.string() });
  const file = new EncodedFile(Buffer.from(text), `${type}; charset=utf-8`);
  return {
    path,
    description: {
      summary,
      headers: z.object({ 'If-None-Match': z.string().optional() }),
      answers: {
        200: { means: 'The file.', content: { [type]: z.string() }, headers },
        304: { means: 'It is the one that the client has.', headers },
      },
    },
    serve: (request, response) => {
      response.set(HEADERS);
      return file.send(request, response);
    },
  };
}
