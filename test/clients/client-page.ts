import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import type { Site } from '../browser/pages.ts';
import type { ClientProcess, Seen, Target } from './clients.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** The cookie that the gateway is told to take tokens from. */
export const COOKIE = 'tidemark';

interface PageGlobals {
  listen(url: string, token: string, print: (seen: Seen) => void): void;
  print(seen: Seen): void;
}

/** Serves a page for each of the modules of `pages`, these modules, and those of the packages. */
export async function startModuleSite(): Promise<Site> {
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    if (path.endsWith('.html')) {
      const module = JSON.stringify(path.replace('.html', '.js'));
      const script = `import { listen } from ${module}; globalThis.listen = listen;`;
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><title>page</title><script type="module">${script}</script>`);
      return;
    }
    // Packages that are made for bundlers import their modules without `.js`.
    const file = path.endsWith('.js') ? path : `${path}.js`;
    const text = await readFile(`${FOLDER}${file}`).catch(() => undefined);
    response.writeHead(text ? 200 : 404, { 'content-type': 'text/javascript' }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Runs a client in a page of its own, with the token both as an argument and as a cookie. */
export async function startPage(
  browser: Browser,
  origin: string,
  name: string,
  { url, token }: Target,
): Promise<ClientProcess> {
  const seen: Seen[] = [];
  const complaints: string[] = [];
  const context = await browser.newContext();
  const { origin: gateway } = new URL(url);
  await context.addCookies([{ name: COOKIE, value: token, url: gateway, httpOnly: true }]);
  const page = await context.newPage();
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.exposeFunction('print', (one: Seen) => void seen.push(one));
  await page.goto(`${origin}/pages/${name}.html`);
  await page.evaluate(
    ([url, token]) => {
      const { listen, print } = globalThis as unknown as PageGlobals;
      listen(url, token, print);
    },
    [url, token] as const,
  );
  return { seen, complaints: () => complaints.join('\n'), stop: () => context.close() };
}
