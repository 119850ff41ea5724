import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../infra/launcher/command.mjs';
import { type Service, type ServiceName, startService } from '../support/services.ts';

/* The documents that the built services answer, without a NATS: they are complete from the start. */

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const NAMES: readonly ServiceName[] = ['ingest', 'gateway', 'replay'];

// biome-ignore lint/suspicious/noExplicitAny: The linters decide what a document is.
type Document = any;

const services = new Map<ServiceName, Service>();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-documents-'));
  const options = { natsUrl: 'nats://127.0.0.1:9', waitUntilReady: false };
  await Promise.all(
    NAMES.map(async (name) => services.set(name, await startService(name, options))),
  );
});
afterAll(async () => {
  for (const service of services.values()) {
    await service.kill('SIGKILL');
    await service.stop();
  }
  await rm(folder, { recursive: true, force: true });
});

async function read(name: ServiceName, kind: 'openapi' | 'asyncapi'): Promise<Document> {
  const answer = await fetch(`${services.get(name)?.url}/${kind}.json`);
  expect(answer.status).toBe(200);
  return answer.json();
}

async function redocly(...documents: readonly Document[]) {
  const files = await Promise.all(
    documents.map(async (document, index) => {
      const file = join(folder, `${index}.json`);
      await writeFile(file, JSON.stringify(document, null, 1));
      return file;
    }),
  );
  const program = join(FOLDER, 'node_modules', '@redocly', 'cli', 'bin', 'cli.js');
  const config = join(FOLDER, 'redocly.yaml');
  const off = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const args = [program, 'lint', ...files, '--config', config, '--max-problems', '20'];
  const { ok, output } = await run(process.execPath, args, { env: { ...process.env, ...off } });
  return { ok, output };
}

const ERROR = 0;

/** What is wrong with an AsyncAPI document by its own parser. */
async function faultsOf(document: Document): Promise<string[]> {
  const { Parser } = await import('@asyncapi/parser' as string);
  const { diagnostics } = await new Parser().parse(JSON.stringify(document));
  return diagnostics
    .filter(({ severity }: { severity: number }) => severity === ERROR)
    .map(({ message, path }: { message: string; path: string[] }) => `${path}: ${message}`);
}

describe('linters', () => {
  test('documents of all services: Redocly finds no fault, and no warning', async () => {
    const documents = [];
    for (const name of NAMES) {
      for (const kind of ['openapi', 'asyncapi'] as const) documents.push(await read(name, kind));
    }
    const { ok, output } = await redocly(...documents);
    expect(ok, output).toBe(true);
    expect(output).not.toContain('warning');
  });

  test.each(NAMES)('AsyncAPI document of %s: its parser finds no fault', async (name) => {
    expect(await faultsOf(await read(name, 'asyncapi'))).toEqual([]);
  });

  test('a broken document: each linter finds the fault', async () => {
    const openapi = await read('ingest', 'openapi');
    openapi.paths['/v1/events'].post.parameters[0].in = 'nowhere';
    expect((await redocly(openapi)).ok).toBe(false);
    const dangling = await read('gateway', 'openapi');
    delete dangling.components.schemas.Cursor;
    expect((await redocly(dangling)).ok).toBe(false);
    const asyncapi = await read('gateway', 'asyncapi');
    asyncapi.operations.sendSse.channel.$ref = '#/channels/none';
    expect((await redocly(asyncapi)).ok).toBe(false);
    expect(await faultsOf(asyncapi)).not.toEqual([]);
  });
});

test('paths of PROTOCOL.md: are those of the documents, with their methods', async () => {
  const text = await readFile(join(FOLDER, '../../libs/protocol/PROTOCOL.md'), 'utf8');
  const named = new Set(
    Array.from(text.matchAll(/`(GET|POST|DELETE|OPTIONS|PUT|PATCH) (\/[\w/.{}<>:]+)/g), (match) => {
      return `${match[1]} ${match[2]?.replace('<', '{').replace('>', '}')}`;
    }),
  );
  const described = new Set<string>();
  for (const name of NAMES) {
    for (const [path, methods] of Object.entries<object>((await read(name, 'openapi')).paths)) {
      for (const method of Object.keys(methods)) described.add(`${method.toUpperCase()} ${path}`);
    }
    for (const { address } of Object.values<Document>((await read(name, 'asyncapi')).channels)) {
      described.add(`GET ${address}`);
    }
  }
  expect([...named].filter((one) => !described.has(one))).toEqual([]);
  expect([...described].filter((one) => one.includes('/v1/') && !named.has(one))).toEqual([
    // Section 13.1 names it as "DELETE with the same body".
    'DELETE /v1/admin/revocations',
  ]);
});

describe('serving', () => {
  test('a document: without a token, with an ETag, and 304 for whoever has it', async () => {
    for (const name of NAMES) {
      const url = `${services.get(name)?.url}/openapi.json`;
      const first = await fetch(url);
      const tag = first.headers.get('etag') ?? '';
      expect(tag).toMatch(/^"[\w-]{22}"$/);
      expect(first.headers.get('content-type')).toContain('application/json');
      await first.text();
      const again = await fetch(url, { headers: { 'if-none-match': tag } });
      expect([again.status, await again.text()]).toEqual([304, '']);
      const other = await fetch(url, { headers: { 'if-none-match': '"other"' } });
      expect([other.status, (await other.text()).length > 1000]).toEqual([200, true]);
      expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    }
  });

  test('a path of a document: is served; of another service, not', async () => {
    for (const name of NAMES) {
      const url = services.get(name)?.url;
      for (const [path, methods] of Object.entries<object>((await read(name, 'openapi')).paths)) {
        for (const method of Object.keys(methods)) {
          const { status } = await fetch(`${url}${path.replace(/\{\w+\}/, 'a')}`, { method });
          // 404 of a hook that is not configured has its own text; no other path is unknown.
          if (!path.includes('{')) expect(status, `${method} ${path}`).not.toBe(404);
        }
      }
      expect((await fetch(`${url}/v1/none`)).status).toBe(404);
    }
  });
});
