import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Who alone may import what from outside; what is not named anywhere may not be imported. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  'libs/protocol': ['zod'],
  'libs/config': [],
  'libs/telemetry': ['@opentelemetry/api', '@opentelemetry/sdk-node', 'pino', 'prom-client'],
  'libs/auth': ['jose'],
  'libs/nats': ['@nats-io/transport-node', '@nats-io/jetstream', '@nats-io/kv'],
  'libs/http': ['express', 'rate-limiter-flexible'],
  'services/ingest': ['zod'],
  'services/gateway': ['ws'],
  'services/replay': ['better-sqlite3', 'zod'],
};

/** The hot path: only protocol, the clock, the counters and each other. */
const HOT = [
  'services/gateway/src/log/tail.ts',
  'services/gateway/src/log/event-entry.ts',
  'services/gateway/src/log/entry-queue.ts',
  'services/gateway/src/fan-out/hub.ts',
  'services/gateway/src/fan-out/subscriber-group.ts',
  'services/gateway/src/scheduling/task-scheduler.ts',
];

interface Import {
  readonly file: string;
  readonly name: string;
}

const parts = Object.keys(OUTSIDE);
const sources = parts.flatMap((part) => filesBelow(join(ROOT, part, 'src')));
const imports = sources.filter((file) => !file.endsWith('.test.ts')).flatMap(importsOf);

describe('directions', () => {
  test('parts: every library and service: is named in the table of this test', () => {
    const found = ['libs', 'services'].flatMap((folder) =>
      readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
    );
    expect(found.sort()).toEqual([...parts].sort());
  });

  test('imports: a package from outside: is allowed to its part and declared there', () => {
    const wrong = imports.filter(({ file, name }) => {
      if (!isOutside(name)) return false;
      const part = partOf(file);
      return !OUTSIDE[part]?.includes(packageOf(name)) || !declared(part, packageOf(name));
    });
    expect(wrong).toEqual([]);
  });

  test('imports: one of our packages: is declared, and is never a service', () => {
    const wrong = imports.filter(({ file, name }) => {
      if (!name.startsWith('@tidemark/')) return false;
      const part = name.replace('@tidemark/', 'libs/');
      return !parts.includes(part) || !declared(partOf(file), name);
    });
    expect(wrong).toEqual([]);
  });

  test('imports: a relative path: stays inside its part', () => {
    const wrong = imports.filter(({ file, name }) => {
      if (!name.startsWith('.')) return false;
      const target = relative(ROOT, resolve(dirname(join(ROOT, file)), name));
      return !target.startsWith(`${partOf(file)}/`);
    });
    expect(wrong).toEqual([]);
  });

  test('imports: protocol: imports none of our packages', () => {
    const wrong = imports.filter(
      ({ file, name }) => file.startsWith('libs/protocol') && name.startsWith('@tidemark/'),
    );
    expect(wrong).toEqual([]);
  });

  test('environment: outside a main.ts or a launcher: is not read', () => {
    const wrong = sources
      .filter((file) => !/\/main\.ts$|libs\/http\/src\/process\.ts$|\.test\.ts$/.test(file))
      .filter((file) => readFileSync(file, 'utf8').includes('process.env'));
    expect(wrong).toEqual([]);
  });

  test('hot path: await, or an import beyond protocol and small structures: has none', () => {
    for (const path of HOT) {
      const text = readFileSync(join(ROOT, path), 'utf8');
      expect(text, path).not.toMatch(/\bawait\b|\basync\b/);
      const outside = importsOf(join(ROOT, path)).filter(
        ({ name }) => !name.startsWith('.') && name !== '@tidemark/protocol',
      );
      expect(outside).toEqual([]);
    }
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const names = [...text.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)';/gms)];
  return names.flatMap(([, name]) => (name ? [{ file: relative(ROOT, file), name }] : []));
}

function isOutside(name: string): boolean {
  return !name.startsWith('.') && !name.startsWith('node:') && !name.startsWith('@tidemark/');
}

function packageOf(name: string): string {
  const parts = name.split('/');
  return parts.slice(0, name.startsWith('@') ? 2 : 1).join('/');
}

function partOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

function declared(part: string, name: string): boolean {
  const { dependencies = {} } = JSON.parse(
    readFileSync(join(ROOT, part, 'package.json'), 'utf8'),
  ) as { dependencies?: Record<string, string> };
  return name in dependencies;
}
