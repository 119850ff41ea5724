import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { TidemarkError } from '@tidemark/protocol';
import type { Request, RequestHandler, Response } from 'express';
import type { OpenPage } from './pages.ts';

/** Most bytes of all files of a folder, which are in memory. */
const BYTES_MAX = 16 * 1024 * 1024;

/** The folder whose files have a hash in their names, so that they never change. */
const HASHED = 'assets';

/** Smaller files are sent as they are. */
const COMPRESSED_BYTES_MIN = 1024;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

const COMPRESSIBLE = /^(?:text|application|image\/svg)/;

/** A folder of files for a page, as a bundler makes it: `index.html`, and `assets` with a hash in each name. */
export interface StaticFolder {
  /** Where the files are on the disk. They are read once. */
  readonly folder: string;
  /** Where they are served, with a slash at both ends: `/console/`. */
  readonly path: string;
  /** Sent with each file. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the error says where the folder is not there. */
  readonly missing: string;
}

/**
 * Serves the files of a folder. The path without its last slash redirects to it. Where the folder is not there,
 * everything below the path is answered with `not_found`.
 *
 * @throws Error when the files are more than 16 MiB
 */
export function staticFolder({ folder, path, headers, missing }: StaticFolder): OpenPage[] {
  const files = readFiles(folder);
  const serve: RequestHandler = async (request, response) => {
    const { file = 'index.html' } = request.params;
    const name = request.path.startsWith(`${path}${HASHED}/`) ? `${HASHED}/${file}` : String(file);
    const found = files.get(name);
    if (found) {
      response.set(headers);
      await send(found, request, response);
      return;
    }
    throw new TidemarkError('not_found', files.size === 0 ? missing : `There is no ${name} here.`);
  };
  const redirect: RequestHandler = (_request, response) => {
    // Relative to the path itself, so that it is right behind a proxy too.
    response.set('Location', path).status(308).end();
  };
  return [
    { path: path.slice(0, -1), serve: redirect },
    ...[path, `${path}:file`, `${path}${HASHED}/:file`].map((one) => ({ path: one, serve })),
  ];
}

interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
  readonly tag: string;
  readonly isHashed: boolean;
  /** Made when somebody first asks for it. */
  readonly encoded: Map<Encoding, Promise<Buffer>>;
}

type Encoding = 'br' | 'gzip';

/** By its name below the folder. */
function readFiles(folder: string): ReadonlyMap<string, StaticFile> {
  const files = new Map<string, StaticFile>();
  let size = 0;
  for (const below of ['', `${HASHED}/`]) {
    if (!existsSync(join(folder, below))) continue;
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = readFileSync(join(folder, below, entry.name));
      size += bytes.length;
      if (size > BYTES_MAX) throw new Error(`The files of ${folder} have more than 16 MiB.`);
      files.set(below + entry.name, {
        bytes,
        type: TYPES[extname(entry.name)] ?? 'application/octet-stream',
        tag: createHash('sha256').update(bytes).digest('base64url').slice(0, 22),
        isHashed: below !== '',
        encoded: new Map(),
      });
    }
  }
  return files;
}

async function send(file: StaticFile, request: Request, response: Response): Promise<void> {
  const { bytes, type, tag, isHashed } = file;
  const mayEncode = bytes.length >= COMPRESSED_BYTES_MIN && COMPRESSIBLE.test(type);
  const encoding = mayEncode
    ? (['br', 'gzip'] as const).find((one) => request.acceptsEncodings(one) === one)
    : undefined;
  const etag = `"${tag}-${encoding ?? 'identity'}"`;
  response.set({
    'Content-Type': type,
    'Cache-Control': isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    ETag: etag,
  });
  response.vary('Accept-Encoding');
  if (request.get('If-None-Match')?.includes(etag)) {
    response.status(304).end();
    return;
  }
  const body = encoding ? await encode(file, encoding) : bytes;
  if (encoding) response.set('Content-Encoding', encoding);
  response.set('Content-Length', String(body.length)).end(body);
}

function encode({ bytes, encoded }: StaticFile, encoding: Encoding): Promise<Buffer> {
  const present = encoded.get(encoding);
  if (present) return present;
  // In a thread of the pool. Nine of eleven takes a twentieth of the time, for 3 % more bytes.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  const made =
    encoding === 'br'
      ? promisify(brotliCompress)(bytes, { params })
      : promisify(gzip)(bytes, { level: 9 });
  encoded.set(encoding, made);
  return made;
}
