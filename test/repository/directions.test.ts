import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { EXAMPLES, HOT_PATH, INFRA, LAYERS, PARTS, type Part, TESTS } from './directions.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Import {
  readonly file: string;
  readonly name: string;
  /** As `import type` is, of which nothing is left when the program runs. */
  readonly isOfTypes: boolean;
}

const parts = Object.keys(PARTS);
const sources = parts.flatMap((part) =>
  ['.ts', '.tsx'].flatMap((extension) => filesBelow(join(ROOT, part, 'src'), extension)),
);
const imports = sources.filter((file) => !file.endsWith('.test.ts')).flatMap(importsOf);

describe('directions', () => {
  test('parts: every library and service: is named in the table of this test', () => {
    const found = ['libs', 'services'].flatMap((folder) =>
      readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
    );
    expect([...found, 'cli', 'console'].sort()).toEqual([...parts].sort());
  });

  test('imports: a package from outside: is allowed to its part and declared there', () => {
    const wrong = imports.filter(({ file, name }) => {
      if (!isOutside(name)) return false;
      const part = partOf(file);
      return !PARTS[part]?.packages.includes(packageOf(name)) || !declared(part, packageOf(name));
    });
    expect(wrong).toEqual([]);
  });

  test('imports: one of our packages: is allowed to its part and declared there', () => {
    const wrong = imports.filter((one) => {
      if (!one.name.startsWith('@tidemark/')) return false;
      const part = partOf(one.file);
      return !mayImportLibrary(PARTS[part], one) || !declared(part, packageOf(one.name));
    });
    expect(wrong).toEqual([]);
  });

  test.each([
    ['infra', INFRA],
    ['examples', EXAMPLES],
  ])(
    'imports: a program of %s: imports Node, and libraries that are allowed to it',
    (folder, part) => {
      const wrong = filesBelow(join(ROOT, folder), '.mjs')
        .filter((file) => !file.includes('node_modules'))
        .flatMap(importsOf)
        .filter(({ name }) => !/^(?:node:|\.)/.test(name) && !part.packages.includes(name))
        .filter((one) => !mayImportLibrary(part, one));
      expect(wrong).toEqual([]);
    },
  );

  test('imports: a relative path: stays inside its part', () => {
    const wrong = imports.filter(({ file, name }) => {
      if (!name.startsWith('.')) return false;
      const target = relative(ROOT, resolve(dirname(join(ROOT, file)), name));
      return !target.startsWith(`${partOf(file)}/`);
    });
    expect(wrong).toEqual([]);
  });

  test.each(parts)(
    'folders of %s: import each other in one direction: there is no ring',
    (part) => {
      expect(ringOf(folderImports(part))).toBeUndefined();
    },
  );

  test.each(Object.entries(LAYERS))(
    'layers of %s: a folder: imports only lower ones',
    (part, layers) => {
      const found = folderImports(part);
      expect([...found.keys()].filter((folder) => folder !== '').sort()).toEqual(
        [...layers].sort(),
      );
      const upward = layers.flatMap((folder, layer) =>
        [...(found.get(folder) ?? [])]
          .filter((target) => target === '' || layers.indexOf(target) > layer)
          .map((target) => `${folder} imports ${target || 'a file beside main.ts'}`),
      );
      expect(upward).toEqual([]);
    },
  );

  test('architecture: its table and its layers: are those of directions.ts', () => {
    const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
    for (const right of [printTable(), printLayers()]) {
      const opening = right.slice(0, right.indexOf(' ', 2));
      const found = paragraphFrom(text, opening);
      expect(found, `ARCHITECTURE.md should have\n\n${right}\n`).toBe(right);
    }
  });

  test('environment: outside a main.ts or a launcher: is not read', () => {
    const wrong = sources
      .filter((file) => !/\/main\.ts$|libs\/service\/src\/process\.ts$|\.test\.ts$/.test(file))
      .filter((file) => /^(?! *\/?\*).*process\.env/m.test(readFileSync(file, 'utf8')));
    expect(wrong).toEqual([]);
  });

  test('hot path: await, or an import beyond protocol and small structures: has none', () => {
    for (const path of HOT_PATH) {
      const text = readFileSync(join(ROOT, path), 'utf8');
      expect(text, path).not.toMatch(/\bawait\b|\basync\b/);
      const outside = importsOf(join(ROOT, path)).filter(
        ({ name }) => !name.startsWith('.') && name !== '@tidemark/protocol',
      );
      expect(outside).toEqual([]);
    }
  });
});

/** The table as ARCHITECTURE.md has it. */
function printTable(): string {
  const rows = Object.entries({ ...PARTS, infra: INFRA, examples: EXAMPLES }).map(
    ([folder, part]) => `| \`${folder}\` | ${part.contents} | ${printImports(part)} |`,
  );
  return [
    '| folder | what is in it | may import |',
    '| --- | --- | --- |',
    ...rows,
    `| \`test\` | ${TESTS} | everything |`,
  ].join('\n');
}

function printImports({ libs, types = [], packages }: Part): string {
  const own = libs === 'all' ? ['every library'] : libs;
  const names = [...own, ...types.map((library) => `types of ${library}`), ...packages];
  return names.join(', ') || 'nothing';
}

/** The lists of layers as ARCHITECTURE.md has them. */
function printLayers(): string {
  return Object.entries(LAYERS)
    .map(([part, layers]) => {
      const names = layers.map((folder) => `\`${folder}\``).join(', ');
      return `- ${part.replace('services/', '')}: ${names}`;
    })
    .join('\n');
}

/** The first paragraph with this opening, in the section "Where things are". */
function paragraphFrom(text: string, opening: string): string {
  const section = text.slice(text.indexOf('## Where things are'));
  return section.split('\n\n').find((paragraph) => paragraph.startsWith(opening)) ?? '';
}

/** The name is that of a library or of one of its entry points, such as `@tidemark/publisher/outbox`. */
function mayImportLibrary(part: Part | undefined, { name, isOfTypes }: Import): boolean {
  const library = packageOf(name).replace('@tidemark/', '');
  if (!parts.includes(`libs/${library}`)) return false;
  if (isOfTypes && part?.types?.includes(library)) return true;
  return part?.libs === 'all' || part?.libs.includes(library) === true;
}

function filesBelow(folder: string, extension = '.ts'): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const found = [...text.matchAll(/^(?:import|export)\b( type\b)?[^;]*?from '([^']+)';/gms)];
  return found.flatMap(([, type, name]) =>
    name ? [{ file: relative(ROOT, file), name, isOfTypes: type !== undefined }] : [],
  );
}

function isOutside(name: string): boolean {
  return !name.startsWith('.') && !name.startsWith('node:') && !name.startsWith('@tidemark/');
}

function packageOf(name: string): string {
  const parts = name.split('/');
  return parts.slice(0, name.startsWith('@') ? 2 : 1).join('/');
}

function partOf(file: string): string {
  return parts.find((part) => file.startsWith(`${part}/`)) ?? '';
}

function declared(part: string, name: string): boolean {
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(
    readFileSync(join(ROOT, part, 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'peerDependencies', Record<string, string> | undefined>;
  return name in dependencies || name in peerDependencies;
}

/** The folders of a part, and which of its other folders each imports; '' is the top one. */
function folderImports(part: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const source = `${part}/src`;
  for (const { file, name } of imports.filter((one) => partOf(one.file) === part)) {
    const folder = folderBelow(source, file);
    const targets = found.get(folder) ?? new Set();
    found.set(folder, targets);
    if (!name.startsWith('.')) continue;
    const target = folderBelow(source, relative(ROOT, resolve(dirname(join(ROOT, file)), name)));
    if (target !== folder) targets.add(target);
  }
  return found;
}

function folderBelow(source: string, file: string): string {
  const [folder = '', ...rest] = relative(source, file).split('/');
  return rest.length === 0 ? '' : folder;
}

/** Removes folders that import none of the others, until no folder is left, or only a ring. */
function ringOf(graph: Map<string, Set<string>>): string[] | undefined {
  const left = new Map(graph);
  for (let dropped = true; dropped; ) {
    dropped = false;
    for (const [folder, targets] of left) {
      if ([...targets].some((target) => left.has(target))) continue;
      left.delete(folder);
      dropped = true;
    }
  }
  return left.size === 0 ? undefined : [...left.keys()];
}
