import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

/** The versions of React that the hooks are for. */
export const REACT_VERSIONS = ['18', '19'] as const;

/** One of them. */
export type ReactVersion = (typeof REACT_VERSIONS)[number];

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** One module with the library as it was built, and with this React in its development mode, which complains more. */
export async function bundleReact(
  version: ReactVersion,
  program: 'page.tsx' | 'server.tsx',
): Promise<string> {
  const modules = (name: string) => path(`../../../node_modules/${name}-${version}`);
  const bundle = await rolldown({
    input: path(program),
    logLevel: 'silent',
    platform: program === 'page.tsx' ? 'browser' : 'node',
    // The newest version has its own name.
    resolve:
      version === '19'
        ? {}
        : { alias: { 'react-dom': modules('react-dom'), react: modules('react') } },
    transform: { define: { 'process.env.NODE_ENV': '"development"' } },
  });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
  await bundle.close();
  return output[0].code;
}

/** What runs on a server. */
export interface ServerProgram {
  readonly version: string;
  /** @param props those of `App` @returns HTML */
  render(props: object): string;
}

/** The page on a server, with this React. */
export async function loadServer(version: ReactVersion): Promise<ServerProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-react-'));
  try {
    const file = join(folder, 'server.mjs');
    await writeFile(file, await bundleReact(version, 'server.tsx'));
    return await import(/* @vite-ignore */ pathToFileURL(file).href);
  } finally {
    await rm(folder, { recursive: true });
  }
}
