import { expect, test } from 'vitest';
import { parseGrantTemplates } from './grant-templates.ts';

test('grant templates: claims that are topic tokens: become grants', () => {
  const templates = parseGrantTemplates('subscribe:user.{sub}.>  inbox:{tenant}.{sub} history:all');
  expect(templates({ sub: 'alice', tenant: 'acme_1' })).toEqual([
    { action: 'subscribe', pattern: 'user.alice.>' },
    { action: 'inbox', pattern: 'acme_1.alice' },
    { action: 'history', pattern: 'all' },
  ]);
});

test.each<unknown>([
  '',
  'a\ud800',
  '.|'.repeat(100),
  'x'.repeat(201),
  undefined,
  null,
  7,
  true,
  ['alice'],
  { toString: () => 'alice' },
])('grant templates: claim %j: grants nothing', (sub) => {
  expect(parseGrantTemplates('subscribe:user.{sub}.>')({ sub })).toEqual([]);
});

test.each([
  ['auth0|x', 'auth0_-7c-_x'],
  ['a.b', 'a_-2e-_b'],
  ['*', '_-2a-_'],
  ['>', '_-3e-_'],
  ['{sub}', '_-7b-_sub_-7d-_'],
  ['user_42', 'user_42'],
])('grant templates: claim %s: is one topic token', (sub, token) => {
  expect(parseGrantTemplates('subscribe:user.{sub}.>')({ sub })).toEqual([
    { action: 'subscribe', pattern: `user.${token}.>` },
  ]);
});

test('grant templates: a name that every object has: is no claim', () => {
  expect(parseGrantTemplates('subscribe:{constructor} subscribe:{__proto__}')({})).toEqual([]);
});

test.each(['admin', 'fly:user.{sub}', 'subscribe:', 'subscribe:user.{sub', 'subscribe:a..{sub}'])(
  'grant templates: %s: refused at the start',
  (text) => {
    expect(() => parseGrantTemplates(text)).toThrow(/TIDEMARK_TOKEN_GRANTS/);
  },
);
