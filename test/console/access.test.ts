import { describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { until } from '../support/until.ts';
import { type Console, operatorToken, startConsoleSystem } from './console.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* Who is let in, and to what. */

describe.skipIf(CHROMIUM === undefined)('console: access (needs Chromium)', () => {
  const stage = setStage(startConsoleSystem);

  async function enter({ page }: Console, token: string): Promise<void> {
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Open the console' }).click();
  }

  test('the page: from a gateway: lets scripts, styles and connections of others not in', async () => {
    const answer = await fetch(`${stage.system.gateway.url}/console/`);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
  });

  test('a token: in the address: opens the console, leaves the address, and stays in the tab', async () => {
    const { page } = await stage.open(await operatorToken());
    await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
    expect(page.url()).not.toContain('token');
    await page.reload();
    await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
    const other = await page.context().newPage();
    await other.goto(`${stage.system.gateway.url}/console/`);
    await other.getByLabel('Token').waitFor();
  });

  test('a token without admin: shows what its scopes allow, and asks nothing of operators', async () => {
    const { page } = await stage.open(
      await makeToken('subscribe:orders.> history:orders.>', 'alice'),
    );
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    const links = page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link');
    await until(async () => (await links.count()) > 0);
    expect(await links.allTextContents()).toEqual(['Topics', 'One event', 'Try it']);
    await page.goto(`${stage.system.gateway.url}/console/#/connections`);
    await page.getByText('the scopes of this token do not allow it').waitFor();
    expect(asked.filter((url) => url.includes('/v1/admin/'))).toEqual([]);
  });

  test('rubbish: for a token: is refused with a reason, and is sent nowhere', async () => {
    const shown = await stage.open();
    const asked: string[] = [];
    shown.page.on('request', (request) => asked.push(request.url()));
    await enter(shown, 'not a token');
    await shown.page.getByText('This is not a token').waitFor();
    expect(asked.filter((url) => url.includes('/v1/'))).toEqual([]);
  });

  test('a token: of another secret: is refused with what the gateway says', async () => {
    const shown = await stage.open();
    const token = await operatorToken();
    await enter(shown, `${token.slice(0, -4)}AAAA`);
    await shown.page.locator('.notice.bad').waitFor();
    await enter(shown, token);
    await shown.page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  });

  test('a session: whose token is revoked: ends with a reason, and the token is forgotten', async () => {
    const token = await makeToken('admin', 'leaving');
    const { page } = await stage.open(token);
    await page.getByText('Events in', { exact: true }).waitFor();
    const answer = await fetch(`${stage.system.gateway.url}/v1/admin/revocations`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await operatorToken()}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ sub: 'leaving' }),
    });
    expect(answer.status).toBe(204);
    await page.getByLabel('Token').waitFor();
    expect(await page.locator('.notice.bad').textContent()).toMatch(/\w/);
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('a session: whose token expires: ends by itself', async () => {
    const { page } = await stage.open(await makeToken('history:a', 'brief', 3));
    await page.getByText('The token has expired').waitFor({ timeout: 20_000 });
  });
});
