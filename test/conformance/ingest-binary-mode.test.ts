import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { type IngestSetup, startIngest } from './ingest-setup.ts';

/* PROTOCOL.md section 10: binary mode, as the CloudEvents HTTP binding has it in sections 3.1.1 to 3.1.3. */

let setup: IngestSetup;
beforeAll(async () => {
  setup = await startIngest();
});
afterAll(() => setup.stop());

const BINARY = {
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': '/binary',
  'ce-type': 'binary',
};

/** Sends header values as the UTF-8 or other bytes that they are; `fetch` takes Latin-1 alone. */
async function postBytes(headers: Record<string, string | Buffer>, body: string | Uint8Array = '') {
  const raw = Object.entries(headers).map(([name, value]) => {
    return [name, (typeof value === 'string' ? Buffer.from(value) : value).toString('latin1')];
  });
  const authorization = `Bearer ${await makeToken('publish:>', 'alice')}`;
  return new Promise<{ status: number; body: Record<string, unknown> }>((resolve, reject) => {
    const sent = request(
      `${setup.ingest.url}/v1/events`,
      { method: 'POST', headers: { ...Object.fromEntries(raw), authorization } },
      async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function stored(headers: Record<string, string | Buffer>, body: string | Uint8Array = '') {
  const id = crypto.randomUUID();
  expect(await postBytes({ ...BINARY, 'ce-id': id, ...headers }, body)).toMatchObject({
    status: 201,
  });
  return (await setup.stored()).at(-1)?.event;
}

async function refused(headers: Record<string, string | Buffer>, body: string | Uint8Array = '') {
  const answer = await postBytes({ ...BINARY, ...headers }, body);
  const { code, faults } = answer.body;
  return { status: answer.status, code, faults };
}

describe('ingest, header values in binary mode', () => {
  test.each<[string, string | Buffer, string]>([
    ['raw UTF-8', 'Grüße € 😀', 'Grüße € 😀'],
    ['raw UTF-8 beside encoded', 'ü %C3%BC', 'ü ü'],
    ['Latin-1 letters, as fetch sends them', Buffer.from('Grüße', 'latin1'), 'Grüße'],
    ['a stray percent sign', '100% %41', '100% A'],
  ])('%s: read', async (_, subject, expected) => {
    expect(await stored({ 'ce-subject': subject })).toMatchObject({ subject: expected });
  });

  test.each<[string, string | Buffer]>([
    ['an overlong form', '%C0%AF'],
    ['encoded Latin-1', 'caf%E9'],
    ['raw bytes of an overlong form', Buffer.from([0xc0, 0xaf])],
    ['raw bytes that are no text', Buffer.from([0x78, 0xff, 0x80])],
  ])('%s: 400', async (_, subject) => {
    expect(await refused({ 'ce-subject': subject })).toEqual({
      status: 400,
      code: 'invalid_event',
      faults: [{ path: 'subject', message: 'must be UTF-8' }],
    });
  });

  test.each(['data', 'data_base64', 'datacontenttype'])('ce-%s: 400', async (name) => {
    expect(await refused({ [`ce-${name}`]: 'eA==', 'content-type': 'text/plain' })).toMatchObject({
      status: 400,
      code: 'invalid_event',
      faults: [{ path: name }],
    });
  });
});

describe('ingest, bodies in binary mode', () => {
  test.each<[string, Record<string, string>, string | Uint8Array, object]>([
    ['an empty type, JSON', { 'content-type': '' }, '{"a":1}', { data: { a: 1 } }],
    ['no type, JSON', {}, '{"a":1}', { data: { a: 1 } }],
    ['no type, no JSON', {}, 'plain', { data_base64: 'cGxhaW4=' }],
    [
      'text in another charset',
      { 'content-type': 'text/plain; charset=iso-8859-1' },
      Buffer.from('é', 'latin1'),
      { datacontenttype: 'text/plain; charset=iso-8859-1', data_base64: '6Q==' },
    ],
    [
      'text that is not UTF-8',
      { 'content-type': 'text/plain' },
      Buffer.from([255]),
      { data_base64: '/w==' },
    ],
    ['a byte order mark', { 'content-type': 'TEXT/csv' }, '\ufeffa', { data: '\ufeffa' }],
  ])('%s: kept as it is', async (_, headers, body, expected) => {
    const event = await stored(headers, body);
    expect(event).toMatchObject(expected);
    expect(Object.keys(event ?? {}).filter((name) => name.startsWith('data'))).toEqual(
      expect.arrayContaining(Object.keys(expected)),
    );
  });
});
