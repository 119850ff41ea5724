import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { appendDirectly, numbered } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';
import { type Console, openConsole, operatorToken, startConsoleSystem } from './console.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* What operators see of a running system, and what they do to it. */

/** The slow one is not to be closed, however long this machine takes. */
const NEVER_CUT_OFF = {
  TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '600000',
  TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS: '600000',
};

describe.skipIf(CHROMIUM === undefined)('console: operators (needs Chromium)', () => {
  const stage = setStage(() => startConsoleSystem({ gateways: 2, env: NEVER_CUT_OFF }));
  let opened: Console;

  beforeAll(async () => {
    opened = await openConsole(stage.browser, stage.system, await operatorToken());
  });

  afterAll(() => opened?.close());

  afterEach(() => {
    expect(opened.complaints).toEqual([]);
  });

  /** Connects, and subscribes to orders. */
  async function connect(sub: string, gateway = 0): Promise<WebSocketClient> {
    const token = await makeToken('subscribe:>', sub);
    const client = new WebSocketClient(stage.system.gateways[gateway]?.url ?? '', { token });
    client.send({ type: 'subscribe', id: 'orders', topics: ['orders.*'], after: 'latest' });
    await client.first('live', 'orders');
    return client;
  }

  let published = 0;
  async function publish(): Promise<void> {
    const event = { id: String(++published), source: '/console', type: 'paid', topic: 'orders.1' };
    await stage.system.publisher.store(event);
  }

  test('Now: while events flow: shows them per second, their delay, and each service', async () => {
    const { page, go } = opened;
    await go('now');
    const client = await connect('watcher');
    const tile = page.getByRole('region', { name: 'Events in', exact: true });
    await until(async () => {
      await publish();
      return Number.parseFloat((await tile.locator('strong').textContent()) ?? '0') > 0;
    });
    const delay = page.getByRole('region', { name: 'Delivery delay', exact: true });
    await until(async () =>
      /\d.*m?s/.test((await delay.locator('strong').first().textContent()) ?? ''),
    );
    // The page's first figure can be of a second in which an event was stored. Then 0 is to come.
    const picture = tile.getByRole('img');
    await until(async () =>
      /between 0 and \d/.test((await picture.getAttribute('aria-label')) ?? ''),
    );
    for (const [name, rows] of [
      ['Gateways', 2],
      ['Ingest', 1],
      ['Replay', 1],
    ] as const) {
      const table = page.getByRole('table', { name, exact: true });
      await until(async () => (await table.locator('tbody tr').count()) === rows);
    }
    await client.close();
  });

  test('Now, by gateway: has a line for each, named as it is', async () => {
    const { page, go } = opened;
    await go('now');
    await page.getByRole('button', { name: 'By gateway' }).click();
    const tile = page.getByRole('region', { name: 'Connections', exact: true });
    await until(async () => (await tile.locator('.legend li').count()) === 2);
    await page.getByRole('button', { name: 'Together' }).click();
    await until(async () => (await tile.locator('.legend li').count()) === 0);
  });

  test('Connections: by user: shows whose they are and where; the address keeps the filter', async () => {
    const { page, go } = opened;
    const clients = [await connect('alice'), await connect('alice', 1), await connect('bob')];
    await go('connections');
    const rows = page.getByRole('table', { name: 'Connections' }).locator('tbody tr');
    await until(async () => (await rows.count()) >= 3);
    await page.getByLabel('User').fill('alice');
    await until(async () => (await rows.count()) === 2);
    expect(page.url()).toContain('sub=alice');
    await page.reload();
    await until(async () => (await rows.count()) === 2);
    await page.getByLabel('User').fill('nobody');
    await page.getByText('No connection fits.').waitFor();
    for (const client of clients) await client.close();
  });

  test('Connections: more than a page: are on several, each once', async () => {
    const { page, go } = opened;
    const clients = await Promise.all(Array.from({ length: 60 }, () => connect('many')));
    await go('connections?sub=many');
    const rows = page.getByRole('table', { name: 'Connections' }).locator('tbody tr');
    await until(async () => (await rows.count()) === 50);
    await page.getByRole('button', { name: 'Next' }).click();
    await until(async () => (await rows.count()) === 10);
    await page.getByText('page 2').waitFor();
    await page.getByRole('button', { name: 'Previous' }).click();
    await until(async () => (await rows.count()) === 50);
    await Promise.all(clients.map((client) => client.close()));
  });

  test('Connections, only slow ones: a client that does not read: is there, with why and how far behind', async () => {
    const { page, go } = opened;
    const client = await connect('sleeper');
    client.socket.pause();
    const data = 'x'.repeat(10_000);
    const events = Array.from({ length: 2500 }, (_, n) => ({
      ...numbered('orders.slow', n),
      data,
    }));
    await appendDirectly(stage.system.nats.url, events);
    await go('connections');
    await page.getByLabel('User').fill('sleeper');
    await page.getByLabel('Only slow ones').check();
    await until(() => page.url().includes('sub=sleeper'));
    expect(page.url()).toContain('slow=true');
    await page.getByText('every 3 s').click();
    await page.getByText(/does not read, \d/).waitFor();
    const behind = page.locator('td[data-name="Events behind"]');
    await until(async () => /[1-9]/.test((await behind.first().textContent()) ?? ''));
    await page.getByText('every 3 s').click();
    await client.close();
  });

  test('Connections, details: disconnect one: closes it, and says so', async () => {
    const { page, go } = opened;
    const client = await connect('carla');
    await go('connections?sub=carla');
    await page.getByRole('button', { name: 'carla', exact: true }).click();
    const details = page.getByRole('dialog', { name: 'carla' });
    const topic = details.getByRole('link', { name: 'orders.*' });
    expect(await topic.getAttribute('href')).toBe('#/topics?topics=orders.*');
    await details.getByRole('button', { name: 'Disconnect', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Disconnect it?' });
    await question.getByText('it misses nothing').waitFor();
    await question.getByRole('button', { name: 'Disconnect', exact: true }).click();
    await details.getByText('It has been disconnected.').waitFor();
    expect(await client.closed).toMatchObject({ code: 4006 });
    await page.keyboard.press('Escape');
    await details.waitFor({ state: 'hidden' });
  });

  test('Connections, details: revoke the tokens: cuts the user off, who comes back with a later token only', async () => {
    const { page, go } = opened;
    const client = await connect('deniz');
    await go('connections?sub=deniz');
    await page.getByRole('button', { name: 'deniz', exact: true }).click();
    await page.getByRole('button', { name: "Revoke the user's tokens" }).click();
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByText('The tokens of deniz are revoked.').waitFor();
    expect(await client.closed).toMatchObject({ code: 4501 });
    await page.keyboard.press('Escape');
  });

  test('Revoke tokens: of a user for good, and taken back: is what the services do', async () => {
    const { page, go } = opened;
    const token = await makeToken('subscribe:>', 'emeka');
    const status = async () => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${stage.system.gateway.url}/v1/head`, { headers })).status;
    };
    await go('connections');
    await page.getByRole('button', { name: 'Revoke tokens …' }).click();
    const dialog = page.getByRole('dialog', { name: 'Revoke tokens' });
    await dialog.getByLabel('All tokens of a user').check();
    await dialog.getByLabel('The user (sub)').fill('emeka');
    await dialog.getByRole('button', { name: 'Revoke', exact: true }).click();
    await dialog.getByText('Revoked, at every service.').waitFor();
    await until(async () => (await status()) === 401);
    await dialog.getByRole('button', { name: 'Take a revocation back' }).click();
    await dialog.getByText('Taken back, at every service.').waitFor();
    await until(async () => (await status()) === 200);
    await dialog.getByLabel('One token').check();
    await dialog.getByLabel('The token, or its jti').fill('a.b.c');
    await dialog.getByRole('button', { name: 'Revoke', exact: true }).click();
    await dialog.getByText('This is not a token.').waitFor();
    await page.keyboard.press('Escape');
  });

  test('Replay and archive: a rebuild: is begun after a question, and told when it is complete', async () => {
    const { page, go } = opened;
    await publish();
    await go('replay');
    await page.getByText('Has events up to').waitFor();
    await page.getByRole('button', { name: 'Rebuild the archive …' }).click();
    await page.getByRole('button', { name: 'Rebuild', exact: true }).click();
    const panel = page.getByRole('region', { name: 'Rebuild', exact: true });
    await panel.getByText('complete', { exact: true }).waitFor();
    expect(await panel.textContent()).toMatch(/began .* and took \d/);
  });

  test('Streams and NATS: a stream alone: has its messages, limits, and its one replica; the buckets stand below', async () => {
    const { page, go } = opened;
    await go('streams');
    const panel = page.getByRole('region', { name: 'TIDEMARK_EVENTS', exact: true });
    await panel.getByText('tidemark.events.>').waitFor();
    expect(await panel.getByRole('meter').count()).toBeGreaterThan(0);
    await panel.getByText('leader', { exact: true }).waitFor();
    await page
      .getByRole('table', { name: 'Buckets' })
      .getByText('KV_TIDEMARK_REVOCATIONS')
      .waitFor();
  });
});
