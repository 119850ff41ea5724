import { expect, test } from 'vitest';
import { readIngestConfiguration, redact, type Table, tables } from './index.ts';

const table = {
  urls: { variable: 'URLS', type: 'text', default: '', meaning: '' },
  secret: { variable: 'SECRET', type: 'secret', default: '', meaning: '' },
} as const satisfies Table;

test.each([
  ['nats://one:4222', 'nats://one:4222'],
  ['nats://user:pass-word@one', 'nats://(hidden)@one'],
  [
    'tls://pass-word@one:4222,nats://u:pass-word@two',
    'tls://(hidden)@one:4222,nats://(hidden)@two',
  ],
  ['nats://user:pass-word/@:#?@one', 'nats://(hidden)@one'],
])('redact: URLs %s: show no user and no password', (urls, shown) => {
  expect(redact(table, { urls, secret: '' })).toEqual({ urls: shown, secret: '(not set)' });
});

test('redact: a secret: shows that it is set', () => {
  expect(redact(table, { urls: '', secret: 'pass-word' }).secret).toBe('(set)');
});

test.each(['nats://user:pass-word@one', 'one,user:pass-word@two', 'pass-word@one'])(
  'NATS_URL %s: refused without telling it, because NATS would be reached without a user',
  (natsUrl) => {
    const read = () => readIngestConfiguration({ NATS_URL: natsUrl });
    expect(read).toThrow(/NATS_URL must hold no user and no password; set TIDEMARK_NATS_USER/);
    expect(read).not.toThrow(/pass-word/);
  },
);

test('redact: the settings of every part: no secret has another type', () => {
  for (const part of Object.values(tables)) {
    for (const { variable, type } of Object.values(part as Table)) {
      if (/SECRET$|SECRETS$|PASSWORD$/.test(variable))
        expect([variable, type]).toEqual([variable, 'secret']);
    }
  }
});
