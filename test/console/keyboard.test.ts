import { describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';
import { operatorToken, startConsoleSystem } from './console.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* The console without a mouse. */

describe.skipIf(CHROMIUM === undefined)('console: keyboard (needs Chromium)', () => {
  const stage = setStage(startConsoleSystem);

  test('by keys alone: from the token to a connection that is cut off, and back to where one was', async () => {
    const { page } = await stage.open();
    const client = new WebSocketClient(stage.system.gateway.url, {
      token: await makeToken('subscribe:>', 'fatima'),
    });
    await client.first('welcome');
    const { keyboard } = page;
    const focused = () => page.evaluate('document.activeElement.textContent.trim()');
    await page.getByLabel('Token').focus();
    await keyboard.insertText(await operatorToken());
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();

    // The form is gone, and its focus is where the content begins.
    expect(await page.evaluate('document.activeElement.id')).toBe('main');
    await page.reload();
    await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
    await keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the content');
    await keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('main');

    await keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).getByText('Streams').waitFor();
    await keyboard.press('Escape');
    await keyboard.press('g');
    await keyboard.press('c');
    await page.getByRole('heading', { name: 'Connections', level: 1 }).waitFor();
    await page.getByLabel('User').waitFor();
    await keyboard.press('/');
    await keyboard.type('fatima');
    const user = page.getByRole('button', { name: 'fatima', exact: true });
    await user.waitFor();
    // Typed letters are no shortcuts.
    await until(() => page.url().includes('#/connections?sub=fatima'));

    await user.focus();
    await keyboard.press('Enter');
    const details = page.getByRole('dialog', { name: 'fatima' });
    await details.waitFor();
    await details.getByRole('button', { name: 'Disconnect', exact: true }).focus();
    await keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Disconnect it?' }).waitFor();
    // The focus is where nothing happens.
    await until(async () => (await focused()) === 'Cancel');
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await details.getByText('It has been disconnected.').waitFor();
    await client.closed;
    await keyboard.press('Escape');
    await details.waitFor({ state: 'hidden' });
  });
});
