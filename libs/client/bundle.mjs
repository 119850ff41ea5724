import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { rolldown } from 'rolldown';

/**
 * Makes `dist/browser` from `dist`: the library for pages without a bundler, as the gateway serves it. `client.js` is the
 * core, and loads `client-http.js` itself where it needs it; the entry points of the package are files beside it. Names
 * have no hash, and what the files have in common keeps its names: a page that has been open for a long time loads a
 * part from a gateway that is newer.
 */

/**
 * Of each file, in bytes, as compressed by brotli. `npm run check` holds them.
 * @type {Readonly<Record<string, number>>}
 */
export const SIZES_MAX = {
  'client.js': 6 * 1024,
  'client-http.js': 2500,
  'client-inbox.js': 5200,
  react: 4600,
};

const DIST = fileURLToPath(new URL('dist/', import.meta.url));
/** Has the compiler's declarations of what platforms have. */
const COMPILER = fileURLToPath(new URL('../../node_modules/@typescript/', import.meta.url));

/** All that others share is in one file. What would be its entry only repeats its exports, and is left out. */
const CORE = 'core';
const HTTP = 'http';
const HTTP_MODULES = '(?:http|requests|publisher|new-id|pause|sse)\\.js';
const HTTP_FILES = new RegExp(`dist/${HTTP_MODULES}`);
const CORE_FILES = new RegExp(`dist/(?!${HTTP_MODULES}|inbox/|react/|testing/|stores/)`);
const FACADE = 'entry.js';

const ENTRIES = { entry: 'index.js', 'client-inbox': 'inbox/index.js' };

/** Whose names others see: users, the platform, services, and the files among each other. */
const PUBLIC = /^(?:index|types|errors|wire|environment|inbox\/types|inbox\/index)\.d\.ts$/;

/** @returns {Promise<Record<string, string>>} the modules, minified, by their file names */
export async function bundleClient() {
  const bundle = await rolldown({ input: inputs(), logLevel: 'silent' });
  const { output } = await bundle.generate({
    format: 'esm',
    minify: true,
    minifyInternalExports: false,
    entryFileNames: '[name].js',
    chunkFileNames: ({ name }) => (name === CORE ? 'client.js' : `client-${name}.js`),
    codeSplitting: {
      groups: [
        { name: CORE, test: CORE_FILES },
        { name: HTTP, test: HTTP_FILES },
      ],
    },
  });
  await bundle.close();
  const chunks = output.filter((one) => one.type === 'chunk' && one.fileName !== FACADE);
  const codes = chunks.map((one) => (one.type === 'chunk' ? one.code : ''));
  const shorten = shortener(codes.join('\n'));
  return Object.fromEntries(chunks.map(({ fileName }, at) => [fileName, shorten(codes[at] ?? '')]));
}

/**
 * What React's entry point adds to the core and the inbox, for an application that is bundled.
 * @returns {Promise<string>} minified
 */
export async function bundleReact() {
  const bundle = await rolldown({
    input: `${DIST}react/index.js`,
    external: [/^react/, /^\.\.\//],
    logLevel: 'silent',
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  return output[0].code;
}

/** @param {string} code @returns {number} its bytes as a server sends them */
export function compressedSize(code) {
  return brotliCompressSync(code).length;
}

function inputs() {
  const built = filesOf(DIST);
  if (!built.includes('index.js')) throw new Error('Build it first: npx tsc -b');
  return Object.fromEntries(
    Object.entries(ENTRIES)
      .filter(([, path]) => built.includes(path))
      .map(([name, path]) => [name, `${DIST}${path}`]),
  );
}

/**
 * Makes names short that minifiers leave: private fields, and other members that nobody outside sees. Only names in
 * camelCase are touched, so no word of a text is. Fields stop being private, which is safe where no class extends one
 * of ours.
 * @param {string} code
 * @returns {(code: string) => string}
 */
function shortener(code) {
  const reserved = namesOthersSee();
  const members = [...code.matchAll(/\.([a-z]+[A-Z]\w*)/g)].map(([, name]) => name ?? '');
  const own = new Set(members.filter((name) => !reserved.has(name)));
  const privates = new Set(code.match(/#[a-zA-Z]\w*/g));
  /** @type {Map<string, string>} */
  const names = new Map();
  for (const name of own) names.set(name, `_${names.size.toString(36)}`);
  for (const name of privates) names.set(name, `_${names.size.toString(36)}`);
  return (one) =>
    one
      // For bundlers, which take the package and not these files.
      .replace(/(?<=\w)\/\* @__PURE__ \*\/ /g, ' ')
      .replaceAll('/* @__PURE__ */ ', '')
      .replace(/\b(?:async|get|set|static)(?=#)/g, '$& ')
      .replace(/#?[a-zA-Z_]\w*/g, (name) => names.get(name) ?? name)
      // Fields without a value: their constructors set them.
      .replace(/(class(?: extends \w+)?\{)(?:\w+;)+/g, '$1');
}

/** @returns {Set<string>} */
function namesOthersSee() {
  const own = filesOf(DIST).filter((path) => PUBLIC.test(path));
  const platform = filesOf(COMPILER).filter((path) => /\/lib\.[\w.]+\.d\.ts$/.test(path));
  if (platform.length === 0) throw new Error('The declarations of the platform are missing.');
  const texts = [
    ...own.map((path) => `${DIST}${path}`),
    ...platform.map((path) => `${COMPILER}${path}`),
  ].map((path) => readFileSync(path, 'utf8'));
  return new Set(texts.flatMap((text) => text.match(/[a-z]+[A-Z]\w*/g) ?? []));
}

/** @param {string} folder */
function filesOf(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) =>
    path.replaceAll('\\', '/'),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  mkdirSync(`${DIST}browser`, { recursive: true });
  for (const [name, code] of Object.entries(await bundleClient()))
    writeFileSync(`${DIST}browser/${name}`, code);
}
