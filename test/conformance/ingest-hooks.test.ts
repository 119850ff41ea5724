import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { githubDeliveries } from '../feed/github-events.mjs';
import { type HookSetup, STORED, startHooks } from './hook-setup.ts';
import { SECRETS, sampleOf, signers } from './hooks.ts';

/* PROTOCOL.md section 10.2: raw webhooks, as their senders document and sign them. */

let setup: HookSetup;
beforeAll(async () => {
  setup = await startHooks();
});
afterAll(async () => {
  await setup?.stop();
});

describe('senders', () => {
  test('GitHub, every example payload: is an event; a redelivery of each: stored once', async () => {
    const deliveries = githubDeliveries().map(({ event, payload }, number) => ({
      body: JSON.stringify(payload),
      headers: {
        'x-github-event': event,
        'x-github-delivery': `72d3162e-cc78-11e3-81ab-${number}`,
        'content-type': 'application/json',
      },
      payload,
    }));
    expect(deliveries.length).toBeGreaterThan(200);
    for (const { body, headers } of [...deliveries, ...deliveries]) {
      const signed = { ...headers, ...signers.github(body) };
      expect(await setup.send('github', body, signed)).toEqual(STORED);
    }
    const events = await setup.storedOf('github');
    expect(events).toHaveLength(deliveries.length);
    for (const [number, { payload, headers }] of deliveries.entries()) {
      const { id = 'none' } = payload.repository ?? payload.organization ?? {};
      expect(events[number]).toMatchObject({
        specversion: '1.0',
        id: headers['x-github-delivery'],
        type: `com.github.${headers['x-github-event']}`,
        topic: `github.${id}`,
        data: payload,
      });
    }
  });

  test('Stripe: a retry with another time and counter: 200, the first one stays', async () => {
    const body = sampleOf('stripe-invoice-paid');
    expect(await setup.send('stripe', body, signers.stripe(body))).toEqual(STORED);
    const retry = body.replace('"pending_webhooks": 2', '"pending_webhooks": 1');
    const minuteAgo = Math.floor(Date.now() / 1000) - 60;
    expect(await setup.send('stripe', retry, signers.stripe(retry, minuteAgo))).toEqual(STORED);
    expect(await setup.storedOf('stripe')).toEqual([
      {
        specversion: '1.0',
        id: 'evt_1NG8Du2eZvKYlo2CUI79vXWy',
        source: 'https://api.stripe.com/',
        type: 'com.stripe.invoice.paid',
        topic: 'stripe.invoice_-2e-_paid',
        subject: 'in_1MtHbELkdIwHu7ixl4OzzPMv',
        time: '2023-06-06T22:19:30.000Z',
        publisher: 'hook:stripe',
        data: JSON.parse(body),
      },
    ]);
    expect(setup.ingest.logs).toContainEqual(
      expect.objectContaining({
        msg: 'webhook repeated with other content',
        subject: 'hook:stripe',
        code: 'conflict',
      }),
    );
  });

  test('Shopify: an id of 18 digits keeps them', async () => {
    const body = sampleOf('shopify-orders-create');
    const headers = {
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': 'shop.myshopify.com',
      'x-shopify-event-id': '98880550-7158-44d4-b7cd-2c97c8a091b5',
      ...signers.shopify(body),
    };
    expect(await setup.send('shopify', body, headers)).toEqual(STORED);
    expect(await setup.send('shopify', body, headers)).toEqual(STORED);
    expect(await setup.storedOf('shopify')).toEqual([
      expect.objectContaining({
        topic: 'shopify.orders_-2f-_create.820982911946154508',
        source: 'https://shop.myshopify.com/',
        time: '2021-12-31T19:00:00-05:00',
      }),
    ]);
  });

  test('Intuit, an array within an object: each item is an event; one that comes again is stored once', async () => {
    const body = sampleOf('intuit-notifications');
    expect(await setup.send('intuit', body, signers.intuit(body))).toEqual(STORED);
    const { eventNotifications: items } = JSON.parse(body);
    const again = JSON.stringify({ eventNotifications: [items[1], { ...items[1], realmId: '3' }] });
    expect(await setup.send('intuit', again, signers.intuit(again))).toEqual(STORED);
    const events = await setup.storedOf('intuit');
    expect(events.map(({ topic, data }) => [topic, data])).toEqual([
      ['intuit.1185883450', items[0]],
      ['intuit.1185883451', items[1]],
      ['intuit.3', { ...items[1], realmId: '3' }],
    ]);
  });

  test('Intuit, a body that is an array: each item is an event; none of none', async () => {
    const body = sampleOf('intuit-cloudevents');
    expect(await setup.send('intuit-events', body, signers.intuit(body))).toEqual(STORED);
    expect(await setup.send('intuit-events', ' [ ] ', signers.intuit(' [ ] '))).toEqual(STORED);
    const events = await setup.storedOf('intuit-events');
    expect(events.map(({ id, subject, data }) => ({ id, subject, data }))).toEqual(
      JSON.parse(body).map((item: { id: string; intuitentityid: string }) => {
        return { id: item.id, subject: item.intuitentityid, data: item };
      }),
    );
  });

  test('Standard Webhooks, GitLab, an unsigned one: are events', async () => {
    const body = '{"type":"user.created","object_kind":"push","id":7,"room":"x"}';
    const standard = signers.standard(body, 'msg_1', 1 + Math.floor(Date.now() / 1000));
    expect(await setup.send('standard', body, standard)).toEqual(STORED);
    expect(await setup.lastOf('standard')).toMatchObject({ id: 'msg_1', type: 'user.created' });
    const gitlab = { 'x-gitlab-token': SECRETS.GITLAB_SECRET, 'x-gitlab-event-uuid': '1' };
    expect(await setup.send('gitlab', body, gitlab)).toEqual(STORED);
    expect(await setup.lastOf('gitlab')).toMatchObject({ topic: 'gitlab.push' });
    expect(await setup.send('open', body)).toEqual(STORED);
    expect(await setup.lastOf('open')).toMatchObject({ id: '7', topic: 'open.x' });
  });

  test('a trace in the headers: is that of the event', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(await setup.send('open', '{"id":"traced","room":"x"}', { traceparent })).toEqual(STORED);
    expect(await setup.lastOf('open')).toMatchObject({ id: 'traced', traceparent });
  });
});

describe('signature', () => {
  const body = '{"zen":"Approachable is better than simple."}';
  const delivery = { 'x-github-event': 'ping' };

  test('secrets of a rotation: both are accepted', async () => {
    for (const secret of [SECRETS.GITHUB_SECRET, SECRETS.GITHUB_OLD_SECRET]) {
      const headers = { ...delivery, 'x-github-delivery': secret, ...signers.github(body, secret) };
      expect(await setup.send('github', body, headers)).toEqual(STORED);
    }
  });

  const stale = Math.floor(Date.now() / 1000) - 301;
  test.each([
    ['of another secret', 'github', signers.github(body, SECRETS.STRIPE_SECRET)],
    ['of another body', 'github', signers.github(`${body} `)],
    ['that is missing', 'github', {}],
    ['with a token of ours in its place', 'github', { authorization: 'Bearer x' }],
    ['of an old time', 'stripe', signers.stripe(body, stale)],
    ['of an old time', 'standard', signers.standard(body, 'msg_2', stale)],
    ['of a time to come', 'standard', signers.standard(body, 'msg_2', stale + 1000)],
  ] as const)('%s (%s): 401, and nothing is stored', async (_, name, headers) => {
    const before = (await setup.stored()).length;
    const sent = { ...delivery, 'x-github-delivery': 'refused', ...headers };
    const { status, text } = await setup.send(name, body, sent);
    expect([status, JSON.parse(text)]).toEqual([
      401,
      expect.objectContaining({ code: 'unauthenticated', retryable: false }),
    ]);
    expect(await setup.stored()).toHaveLength(before);
  });

  test('a wrong body with a wrong signature: the signature decides', async () => {
    expect((await setup.send('github', '{', signers.github('['))).status).toBe(401);
    expect((await setup.send('github', '{', { ...delivery, ...signers.github('{') })).status).toBe(
      400,
    );
  });
});
