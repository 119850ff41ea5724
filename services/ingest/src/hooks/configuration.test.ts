import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError } from '@tidemark/config';
import { afterAll, describe, expect, test } from 'vitest';
import { readHooks } from './configuration.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-hooks-'));
const file = join(folder, 'hooks.json');
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, 'a secret of a file\n');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plain = { topic: 'a.{/b}', type: 't', id: '{sha256}', source: '/s', signature: 'none' };
const environment = { SHOP_SECRET: 'a secret of the environment', SHORT: 'short' };
const VARIABLE = 'TIDEMARK_INGEST_HOOKS';

function read(written: unknown) {
  writeFileSync(file, typeof written === 'string' ? written : JSON.stringify(written));
  return readHooks(file, environment);
}

function faultsOf(written: unknown): readonly string[] {
  try {
    read(written);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
  return expect.fail('accepted');
}

function github(secrets: unknown) {
  return { signature: { style: 'github', secrets } };
}

describe('file of hooks', () => {
  test('no file: no hooks', () => {
    expect(readHooks('', {}).size).toBe(0);
  });

  test('hooks of each style, secrets from everywhere: are read', () => {
    const secrets = ['env:SHOP_SECRET', `file:${secretFile}`, 'plain:a secret: in the file'];
    const standard = ['plain:whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'];
    const hooks = read({
      hooks: {
        none: { ...plain, each: '/events', time: '{/t}', subject: '{/s}' },
        github: { ...plain, ...github(secrets) },
        stripe: { ...plain, signature: { style: 'stripe', secrets, toleranceSeconds: 60 } },
        standard: { ...plain, signature: { style: 'standard-webhooks', secrets: standard } },
        shopify: {
          ...plain,
          signature: { style: 'hmac', header: 'X-Sig', encoding: 'base64', secrets },
        },
        gitlab: { ...plain, signature: { style: 'token', header: 'X-Gitlab-Token', secrets } },
      },
    });
    expect([...hooks.keys()]).toEqual([
      'none',
      'github',
      'stripe',
      'standard',
      'shopify',
      'gitlab',
    ]);
    expect(hooks.get('none')).toMatchObject({ name: 'none', each: ['events'] });
    const send = (secret: string) => () => {
      const headers = { 'x-gitlab-token': secret };
      hooks.get('gitlab')?.checkSignature({ headers, body: new Uint8Array(), nowMs: 0 });
    };
    for (const secret of ['a secret of the environment', 'a secret of a file']) {
      expect(send(secret)).not.toThrow();
    }
    expect(send('a secret: in the file')).not.toThrow();
    expect(send('a secret of nobody')).toThrow('not right');
  });

  test.each([
    ['not JSON', '{', `${VARIABLE}: ${file} is not JSON`],
    ['no hooks', {}, `${VARIABLE}: "hooks" is missing`],
    ['another field', { hooks: {}, more: 1 }, `${VARIABLE}: "hooks" has no field more`],
    ['a wrong name', { hooks: { 'A b': plain } }, `${VARIABLE}: hook A b: must have a name of a-z`],
    ['no object', { hooks: { a: 5 } }, `${VARIABLE}: hook a: must be an object`],
  ])('%s: one sentence that says so', (_, written, fault) => {
    expect(faultsOf(written)).toEqual([expect.stringContaining(fault)]);
  });

  test.each([
    ['topic', { topic: 'a..{/b}' }, 'topic must be a topic'],
    ['topic of a wildcard', { topic: 'a.*' }, 'topic must be a topic'],
    ['template', { id: '{/b' }, 'id has a brace without its other one'],
    ['placeholder', { type: '{b}' }, 'type {b} is none of {/json/pointer}'],
    ['source', { source: 'a b' }, 'source must be a URI reference'],
    ['empty id', { id: '' }, 'id must not be empty'],
    ['id that is no text', { id: 7 }, 'id must be a text'],
    ['pointer', { each: 'events' }, 'each events is no JSON pointer'],
    ['field', { topics: 'a' }, 'has no field topics'],
    ['absent signature', { signature: undefined }, 'signature is missing'],
    ['style', { signature: 'github' }, 'signature must be "none", or have a style'],
    [
      'secret without a prefix',
      github(['hunter2hunter2hunter2']),
      'signature.secrets[0] must be env:',
    ],
    [
      'secret that is not set',
      github(['env:NOT_SET']),
      'signature.secrets[0] names the variable NOT_SET',
    ],
    [
      'secret without its file',
      github(['file:/no/file']),
      'signature.secrets[0] names the file /no/file',
    ],
    ['short secret', github(['env:SHOP_SECRET', 'env:SHORT']), 'signature.secrets[1] has 5 bytes'],
    ['list without a secret', github([]), 'signature.secrets must have at least one secret'],
  ])('a wrong %s: the sentence names hook and field, and no secret', (_, wrong, fault) => {
    const faults = faultsOf({ hooks: { good: plain, bad: { ...plain, ...wrong } } });
    expect(faults).toEqual([
      expect.stringContaining(`${VARIABLE}: hook bad: ${fault.split(' ')[0]}`),
    ]);
    expect(faults[0]).toContain(fault);
    expect(faults[0]).not.toContain('hunter2');
  });

  test('several faults: all are named', () => {
    const bad = {
      ...plain,
      id: undefined,
      ...github(['env:NOT_SET', `file:${secretFile}`, 'env:GONE']),
    };
    expect(faultsOf({ hooks: { bad } })).toEqual([
      expect.stringContaining('hook bad: id is missing'),
      expect.stringContaining('hook bad: signature.secrets[0]'),
      expect.stringContaining('hook bad: signature.secrets[2]'),
    ]);
  });

  test.each([
    ['the example of infra', 'infra/hooks/example.json', /.*/s],
    [
      'the example of the protocol',
      'libs/protocol/PROTOCOL.md',
      /(?<=```json\n)\{\n {2}"hooks".*?(?=```)/s,
    ],
    ['the example of the README', 'README.md', /(?<=<<'END'\n).*?(?=END)/s],
  ])('%s: can be read', (_, path, part) => {
    const text = readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');
    const named = ['GITHUB', 'STRIPE', 'SHOPIFY', 'INTUIT', 'GITLAB', 'SHOP'];
    const secrets = named.map((name) => [`${name}_SECRET`, 'a secret of the environment']);
    writeFileSync(file, part.exec(text)?.[0] ?? '');
    expect(readHooks(file, Object.fromEntries(secrets)).size).toBeGreaterThan(0);
  });

  test('a file that is not there: says so', () => {
    expect(() => readHooks('/no/hooks.json', {})).toThrow('/no/hooks.json cannot be read (ENOENT)');
  });
});
