import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CLIENTS } from '../clients/clients.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** Names of packages as their own manifests have them, and the versions that are pinned there. */
function pinned(): Map<string, string> {
  const { dependencies } = JSON.parse(read('test/clients/package.json')) as {
    dependencies: Record<string, string>;
  };
  const npm = Object.entries(dependencies).map(([name, version]) => {
    const [, major] = /^eventsource-(\d)$/.exec(name) ?? [];
    return [major ? `eventsource ${major}` : name, version.replace(/^npm:.*@/, '')] as const;
  });
  const python = [...read('test/clients/requirements.txt').matchAll(/^(\S+)==(\S+)/gm)];
  const go = [...read('test/clients/go/go.mod').matchAll(/github\.com\/(\S+?)(?:\/v\d)? v(\S+)/g)];
  return new Map([
    ...npm,
    ...[...python, ...go].map(([, name = '', version = '']) => [name, version] as const),
  ]);
}

test('table of clients in PROTOCOL.md: names those that the tests run, with their versions', () => {
  const versions = pinned();
  const expected = CLIENTS.map(({ name }) => {
    const [packageName = '', part] = name.split(', ');
    const version = versions.get(packageName)?.split('.').slice(0, 2).join('.');
    if (version === undefined) return name;
    const plain = packageName.replace(/ \d+$/, '');
    return `${plain} ${version}${part ? `, ${part}` : ''}`;
  });
  const section =
    /^### 7\.1 Clients$([\s\S]*?)^## /m.exec(read('libs/protocol/PROTOCOL.md'))?.[1] ?? '';
  const rows = [...section.matchAll(/^\| ([^|]+?) \|/gm)].map(([, name]) => name);
  expect(rows.slice(2)).toEqual(expected);
});
