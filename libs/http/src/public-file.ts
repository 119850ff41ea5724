import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Request, RequestHandler } from 'express';
import { z } from 'zod';
import type { OpenPage } from './pages.ts';

/** A file that every page may load, from wherever it is. */
export interface PublicFile {
  readonly path: string;
  readonly summary: string;
  /** Its media type. */
  readonly type: string;
  readonly text: string;
}

const ENCODINGS = ['br', 'gzip'] as const;

/** A GET that answers a file, compressed where the client takes that, with an ETag by which it need not load it again. */
export function publicFile({ path, summary, type, text }: PublicFile): OpenPage {
  const headers = z.object({ ETag: z.string() });
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
    serve: serveFile(Buffer.from(text), type),
  };
}

function serveFile(plain: Buffer, type: string): RequestHandler {
  const hash = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  // Compressed once, when the service starts.
  const bytes = {
    identity: plain,
    br: brotliCompressSync(plain),
    gzip: gzipSync(plain, { level: 9 }),
  };
  const common = {
    // Asked for again each time, and answered by 304: a page and the gateway have the same version.
    'Cache-Control': 'no-cache',
    'Content-Type': `${type}; charset=utf-8`,
    'X-Content-Type-Options': 'nosniff',
    'Access-Control-Allow-Origin': '*',
    'Cross-Origin-Resource-Policy': 'cross-origin',
    Vary: 'Accept-Encoding',
  };
  return (request, response) => {
    const encoding = encodingFor(request);
    const tag = `"${hash}-${encoding}"`;
    response.set({ ...common, ETag: tag });
    if (request.get('If-None-Match')?.includes(tag)) {
      response.status(304).end();
      return;
    }
    if (encoding !== 'identity') response.set('Content-Encoding', encoding);
    response.set('Content-Length', String(bytes[encoding].length)).end(bytes[encoding]);
  };
}

function encodingFor(request: Request): 'identity' | (typeof ENCODINGS)[number] {
  return ENCODINGS.find((one) => request.acceptsEncodings(one) === one) ?? 'identity';
}
