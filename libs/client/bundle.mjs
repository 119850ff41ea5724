import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

/**
 * The core as one small module, for pages without a bundler, and what `npm run check` holds its size against. Everything
 * counts: WebSocket, SSE, cursors, publish, snapshot and join.
 */
export const SIZE_MAX = 8 * 1024;

const DIST = fileURLToPath(new URL('dist/', import.meta.url));

/**
 * Names of private fields become short: minifiers leave them, and nobody outside sees them.
 * @param {string} code
 */
function shorten(code) {
  /** @type {Map<string, string>} */
  const names = new Map();
  return code.replace(/#[a-zA-Z]\w*/g, (name) => {
    const short = names.get(name) ?? `#${names.size.toString(36).replace(/^\d/, '_$&')}`;
    names.set(name, short);
    return short;
  });
}

/** @returns {Promise<string>} the module, minified */
export async function bundleClient() {
  if (!readdirSync(DIST).includes('index.js')) throw new Error('Build it first: npx tsc -b');
  const bundle = await rolldown({ input: `${DIST}index.js`, logLevel: 'silent' });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  return shorten(output[0].code);
}

/** @param {string} code @returns {number} its bytes as a server sends them */
export function compressedSize(code) {
  return gzipSync(code, { level: 9 }).length;
}
