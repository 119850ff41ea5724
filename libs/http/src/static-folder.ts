import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { TidemarkError } from '@tidemark/protocol';
import type { RequestHandler } from 'express';
import { EncodedFile } from './encoded-file.ts';
import type { OpenPage } from './pages.ts';

/** Most bytes of all files of a folder, which are in memory. */
const BYTES_MAX = 16 * 1024 * 1024;

/** The folder whose files have a hash in their names, so that they never change. */
const HASHED = 'assets';

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
    const isHashed = request.path.startsWith(`${path}${HASHED}/`);
    const name = isHashed ? `${HASHED}/${file}` : String(file);
    const found = files.get(name);
    if (found) {
      const cached = isHashed ? 'public, max-age=31536000, immutable' : 'no-cache';
      response.set({ ...headers, 'Cache-Control': cached });
      await found.send(request, response);
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

/** By its name below the folder. */
function readFiles(folder: string): ReadonlyMap<string, EncodedFile> {
  const files = new Map<string, EncodedFile>();
  let size = 0;
  for (const below of ['', `${HASHED}/`]) {
    if (!existsSync(join(folder, below))) continue;
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = readFileSync(join(folder, below, entry.name));
      size += bytes.length;
      if (size > BYTES_MAX) throw new Error(`The files of ${folder} have more than 16 MiB.`);
      const type = TYPES[extname(entry.name)] ?? 'application/octet-stream';
      files.set(below + entry.name, new EncodedFile(bytes, type));
    }
  }
  return files;
}
