import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tables } from '@tidemark/config';
import { expect, test } from 'vitest';
import { EXPORTED } from '../support/collector.ts';
import { NATS_PASSWORD } from '../support/nats-server.ts';
import { TEST_SECRET } from '../support/services.ts';

/*
 * What all services logged in all tests, what they showed as metrics, and what they exported to the
 * collector for traces (`npm test` collects all three), against the secrets that the tests used.
 */

const { LOGGED_FILE = '', SECRETS_FILE = '' } = process.env;

/** What tokens, tickets and cookies look like wherever they stand, and what events hold in tests. */
const SHAPES: Readonly<Record<string, RegExp>> = {
  'a token': /eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/,
  'a token in a URL': /access_token=[^"&\s]/,
  'a ticket in a URL': /ticket=[^"&\s]/,
  'a bearer': /bearer[ .][A-Za-z0-9_-]{20,}/i,
  'a payload': /lorem ipsum/,
};

interface Configured {
  readonly service: string;
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** The settings that no service shows. */
const SECRET_SETTINGS = new Set(
  Object.values(tables).flatMap((table) =>
    Object.entries(table).flatMap(([name, { type }]) => (type === 'secret' ? [name] : [])),
  ),
);

/** JSON.stringify writes some characters of a secret in another way. */
const secrets = new Set(
  [TEST_SECRET, NATS_PASSWORD, ...readFileSync(SECRETS_FILE, 'utf8').split('\n')].filter(Boolean),
);
/** The last part of a token is enough to tell it, and what is shorter tells nothing. */
const needles = [...secrets].map((one) => one.slice(-40)).filter((one) => one.length >= 8);

async function findings(lines: AsyncIterable<string>): Promise<{ found: string[]; count: number }> {
  const found: string[] = [];
  const words = new Set(needles.filter((one) => /^[A-Za-z0-9_.-]+$/.test(one)));
  const phrases = needles.filter((one) => !words.has(one));
  let count = 0;
  for await (const line of lines) {
    count++;
    for (const [what, shape] of Object.entries(SHAPES)) {
      if (shape.test(line)) found.push(`${what}: ${line.slice(0, 300)}`);
    }
    for (const word of line.match(/[A-Za-z0-9_.-]{8,}/g) ?? []) {
      if (words.has(word.slice(-40))) found.push(`a secret: ${line.slice(0, 300)}`);
    }
    for (const phrase of phrases)
      if (line.includes(phrase)) found.push(`a secret: ${line.slice(0, 300)}`);
  }
  return { found, count };
}

async function* of(line: string): AsyncIterable<string> {
  yield line;
}

test('secrets: tokens, tickets, keys and payloads: in no log line, metric or trace of all tests', async () => {
  const lines = createInterface({ input: createReadStream(LOGGED_FILE) });
  const { found, count } = await findings(lines);
  expect(found.slice(0, 10)).toEqual([]);
  expect(count).toBeGreaterThan(100);
  const kept = readFileSync(LOGGED_FILE, 'utf8');
  for (const kind of ['"msg":"connected"', '# TYPE tidemark_', `${EXPORTED}POST /v1/events`]) {
    expect([kind, kept.includes(kind)]).toEqual([kind, true]);
  }
  expect(needles.length).toBeGreaterThan(2);
});

test('secrets: one that were logged: would be found', async () => {
  for (const secret of secrets) {
    if (secret.length < 8) continue;
    expect((await findings(of(JSON.stringify({ msg: `x ${secret}` })))).found).not.toEqual([]);
  }
  for (const line of [
    'GET /v1/sse?ticket=abc',
    'lorem ipsum dolor',
    'Bearer abcdefghijklmnopqrstuvw',
  ]) {
    expect((await findings(of(line))).found).not.toEqual([]);
  }
});

test('secrets: the configuration that a start tells: shows that a secret is set, and not which', () => {
  const configured = readFileSync(LOGGED_FILE, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"msg":"configured"'));
  expect(configured.length).toBeGreaterThan(0);
  for (const line of configured) {
    const { service, configuration } = JSON.parse(line) as Configured;
    const secretNames = Object.keys(configuration).filter((name) => SECRET_SETTINGS.has(name));
    expect(secretNames, service).not.toEqual([]);
    for (const name of secretNames) expect(['(set)', '(not set)']).toContain(configuration[name]);
    for (const value of Object.values(configuration)) expect(String(value)).not.toContain('@');
  }
});
