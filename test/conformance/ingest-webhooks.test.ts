import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, type Service, startService } from '../support/services.ts';
import { type IngestSetup, startIngest } from './ingest-setup.ts';

/* PROTOCOL.md section 10.1: senders of webhooks, by the CloudEvents webhook specification. */

let setup: IngestSetup;
let strict: Service;
beforeAll(async () => {
  setup = await startIngest({ env: { TIDEMARK_ALLOWED_ORIGINS: 'https://app.example' } });
  strict = await startService('ingest', {
    natsUrl: setup.nats.url,
    env: {
      TIDEMARK_INGEST_WEBHOOK_ORIGINS: 'eventgrid.azure.net, emitter.example',
      TIDEMARK_INGEST_WEBHOOK_RATE: '120',
    },
  });
});
afterAll(async () => {
  await strict.stop();
  await setup.stop();
});

function ask({ url }: Service, headers: Record<string, string>, method = 'OPTIONS') {
  return fetch(`${url}/v1/events`, { method, headers });
}

describe('webhook handshake', () => {
  test('any sender, without a token: allowed at any rate', async () => {
    const answer = await ask(setup.ingest, { 'WebHook-Request-Origin': 'eventgrid.azure.net' });
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      allow: 'POST',
      'webhook-allowed-origin': 'eventgrid.azure.net',
      'webhook-allowed-rate': '*',
    });
    expect(await answer.text()).toBe('');
  });

  test('senders and a rate are configured: those are allowed, others are not', async () => {
    const asked = { 'WebHook-Request-Origin': 'Emitter.Example', 'WebHook-Request-Rate': '1000' };
    const allowed = await ask(strict, asked);
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get('webhook-allowed-origin')).toBe('Emitter.Example');
    expect(allowed.headers.get('webhook-allowed-rate')).toBe('120');
    const refused = await ask(strict, { 'WebHook-Request-Origin': 'else.example' });
    expect(refused.status).toBe(403);
    expect(refused.headers.has('webhook-allowed-origin')).toBe(false);
  });

  test('OPTIONS that is no handshake: 405 as before', async () => {
    expect((await ask(strict, {})).status).toBe(405);
  });

  test('events of a sender that names itself in Origin, where pages are restricted: need a token alone', async () => {
    const event = { type: 'webhook.sent' };
    const from = (origin: string) => setup.post(event, { headers: { origin } });
    expect((await from('eventgrid.azure.net')).status).toBe(201);
    expect((await from('https://other.example')).status).toBe(403);
    expect((await from('null')).status).toBe(403);
    const headers = { origin: 'eventgrid.azure.net' };
    expect((await setup.post(event, { headers, token: null })).status).toBe(401);
  });
});

describe('answers without a body', () => {
  async function post(prefer: string, body: unknown = { type: 'preferred' }) {
    const authorization = `Bearer ${await makeToken('publish:>')}`;
    const type = Array.isArray(body) ? 'application/cloudevents-batch+json' : 'application/json';
    return fetch(`${setup.ingest.url}/v1/events`, {
      method: 'POST',
      headers: { authorization, prefer, 'content-type': type },
      body: JSON.stringify(body),
    });
  }

  test.each([
    ['return=minimal', 'return=minimal'],
    ['respond-async, Return="minimal"; x=y', 'return=minimal'],
    ['reply', 'reply'],
  ])('Prefer: %s: 204, with the cursor as ETag', async (prefer, applied) => {
    const answer = await post(prefer);
    expect(answer.status).toBe(204);
    expect(await answer.text()).toBe('');
    expect(answer.headers.get('preference-applied')).toBe(applied);
    expect(answer.headers.get('etag')).toMatch(/^"[a-z0-9.]+-\d+"$/);
    expect(answer.headers.get('etag')).toBe(`"${answer.headers.get('tidemark-position')}"`);
  });

  test('Prefer: ordered: 201 to a batch, and the answer says that it was', async () => {
    const answer = await post('ordered', []);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('preference-applied')).toBe('ordered');
    const bodyless = await post('ordered, return=minimal', []);
    expect(bodyless.status).toBe(204);
    expect(bodyless.headers.get('preference-applied')).toBe('ordered, return=minimal');
  });

  test('a batch: 204; other preferences: 201; an error: its body', async () => {
    expect((await post('return=minimal', [])).status).toBe(204);
    expect((await post('return=representation')).status).toBe(201);
    expect((await post('x="reply", return="minimally"')).status).toBe(201);
    const refused = await post('return=minimal', { type: 7 });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: 'invalid_event' });
  });
});
