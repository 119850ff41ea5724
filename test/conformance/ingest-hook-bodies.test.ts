import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HookSetup, STORED, startHooks } from './hook-setup.ts';
import { signers } from './hooks.ts';

/* PROTOCOL.md section 10.2: what webhooks may hold, and how they are asked for. */

let setup: HookSetup;
beforeAll(async () => {
  setup = await startHooks();
});
afterAll(async () => {
  await setup?.stop();
});

describe('bodies', () => {
  test.each(['a.b', '*', '>', 'a.>', '../..', 'a b', '{/id}', 'ü'])(
    '%j in a topic: stays one token',
    async (room) => {
      const body = JSON.stringify({ id: `room ${room}`, room });
      expect(await setup.send('open', body)).toEqual(STORED);
      expect((await setup.lastOf('open'))?.topic).toMatch(/^open\.[A-Za-z0-9_-]+$/);
      expect((await setup.lastOf('open'))?.data).toEqual({ id: `room ${room}`, room });
    },
  );

  test.each([
    ['no value at a pointer', '{"id":1}', '/room has no text, number or boolean, which topic is'],
    ['no object', '[]', '/id has no text'],
    ['a number that is out of range', '{"id":1,"room":"x","n":1e400}', 'out of range'],
    ['an id with a line feed', '{"id":"a\\nb","room":"x"}', 'id must hold no control characters'],
    ['an id that is too long', `{"id":"${'x'.repeat(1025)}","room":"x"}`, 'id must have at most'],
    ['a topic that is too long', `{"id":1,"room":"${'x'.repeat(200)}"}`, 'topic must be a topic'],
    ['too many levels', `{"id":1,"room":"x","n":${'['.repeat(64)}${']'.repeat(64)}}`, 'deeper'],
  ])('%s: invalid_event, which names it', async (_, body, message) => {
    const { status, text } = await setup.send('open', body);
    expect([status, JSON.parse(text)]).toMatchObject([400, { code: 'invalid_event' }]);
    expect(JSON.parse(text).message).toContain(message);
  });

  test('one item of several is wrong: it is named, and none is stored', async () => {
    const body = '{"eventNotifications":[{"realmId":"good"},{"realmId":{}},{"realmId":""}]}';
    const { status, text } = await setup.send('intuit', body, signers.intuit(body));
    expect([status, JSON.parse(text)]).toMatchObject([
      400,
      { code: 'invalid_event', faults: [{ path: '[1]/realmId' }, { path: '[2]/realmId' }] },
    ]);
    expect((await setup.storedOf('intuit')).map(({ topic }) => topic)).not.toContain('intuit.good');
  });

  test.each(['{}', '{"eventNotifications":{}}', '7'])(
    '%s, where items should be: invalid_event that names the pointer',
    async (body) => {
      const { status, text } = await setup.send('intuit', body, signers.intuit(body));
      expect([status, JSON.parse(text)]).toMatchObject([
        400,
        { code: 'invalid_event', faults: [{ path: '/eventNotifications' }] },
      ]);
    },
  );

  test('a few thousand levels in an item: invalid_event', async () => {
    for (const levels of [65, 8000]) {
      const item = `${'['.repeat(levels)}${']'.repeat(levels)}`;
      const body = `{"eventNotifications":[{"realmId":1,"x":${item}}]}`;
      const { status, text } = await setup.send('intuit', body, signers.intuit(body));
      expect([status, JSON.parse(text)]).toMatchObject([400, { code: 'invalid_event' }]);
    }
  });

  test('sizes: an event of 256 KiB, a body of 1 MiB, and more', async () => {
    const padded = (bytes: number, id: string) => {
      const start = `{"id":"${id}","room":"x","realmId":"1","pad":"`;
      return `${start}${'x'.repeat(bytes - start.length - 2)}"}`;
    };
    const KIB = 1024;
    expect(await setup.send('open', padded(255 * KIB, 'large'))).toEqual(STORED);
    const tooLarge = async (name: 'open' | 'intuit', body: string) => {
      const { status, text } = await setup.send(name, body, signers.intuit(body));
      expect([status, JSON.parse(text)]).toMatchObject([413, { code: 'too_large' }]);
    };
    await tooLarge('open', padded(257 * KIB, 'larger'));
    await tooLarge('open', padded(1000 * KIB, 'a MiB'));
    await tooLarge('open', padded(1025 * KIB, 'more'));
    await tooLarge('intuit', `{"eventNotifications":[${padded(300 * KIB, 'x')}]}`);
    await tooLarge('intuit', `{"eventNotifications":[${'{},'.repeat(1000)}{}]}`);
    const item = (id: string) =>
      padded(8 * KIB, id).replace(
        '"room"',
        '"intuitaccountid":1,"intuitentityid":1,"type":"t","source":"s","time":1,"room"',
      );
    const items = `[${Array.from({ length: 126 }, (_, at) => item(String(at)))}]`;
    expect(items.length).toBeGreaterThan(1000 * KIB);
    expect(await setup.send('intuit-events', items, signers.intuit(items))).toEqual(STORED);
  });
});

describe('requests', () => {
  test('another method: 405, and no handshake', async () => {
    const headers = { 'WebHook-Request-Origin': 'eventgrid.azure.net' };
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await fetch(`${setup.ingest.url}/v1/hooks/open`, { method, headers });
      expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'POST']);
    }
  });

  test.each(['github2', 'GitHub', 'constructor', '%2e%2e', 'github%2F'])(
    'a hook %s, which is not there: 404',
    async (name) => {
      const url = `${setup.ingest.url}/v1/hooks/${name}`;
      const headers = { 'content-type': 'application/json' };
      expect((await fetch(url, { method: 'POST', headers, body: '{}' })).status).toBe(404);
    },
  );

  test('a form, as GitHub sends by choice: 415, which says what to do', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { status, text } = await setup.send('github', 'payload=%7B%7D', headers);
    expect([status, JSON.parse(text).message]).toEqual([
      415,
      'A webhook sends application/json. Forms are not read: choose JSON where the webhook is set up.',
    ]);
  });

  test.each([
    [{ 'content-type': 'text/plain' }, 415],
    [{ 'content-type': '' }, 415],
    [{ 'content-encoding': 'gzip' }, 415],
    [{ 'content-type': 'application/json; charset=latin1' }, 415],
    [{ 'content-type': 'Application/Vnd.Api+JSON; charset=utf-8' }, 200],
  ] as [Record<string, string>, number][])('headers %j: %i', async (headers, status) => {
    expect((await setup.send('open', '{"id":"headers","room":"x"}', headers)).status).toBe(status);
  });
});
