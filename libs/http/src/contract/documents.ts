import { createHash } from 'node:crypto';
import type { RequestHandler } from 'express';

/** Serves a document: the same bytes to everybody, with an ETag by which caches and tools know them again. */
export function serveDocument(document: object): RequestHandler {
  const bytes = Buffer.from(JSON.stringify(document));
  const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  return (request, response) => {
    response.set({ ETag: tag, 'Cache-Control': 'no-cache' });
    if (request.get('If-None-Match')?.includes(tag)) {
      response.status(304).end();
      return;
    }
    response.set('Content-Type', 'application/json; charset=utf-8');
    response.set('Content-Length', String(bytes.length)).end(bytes);
  };
}
