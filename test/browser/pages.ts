import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

export const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The browser that is installed, or `undefined`. */
export function findChromium(): string | undefined {
  return find(NAMES);
}

export function findFirefox(): string | undefined {
  return find(['firefox-esr', 'firefox']);
}

function find(names: readonly string[]): string | undefined {
  for (const name of names) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next name, then.
    }
  }
  return undefined;
}

export function startBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A web server with one empty page: an origin. */
export interface Site {
  readonly origin: string;
  stop(): Promise<void>;
}

/** @param answers what it says at further paths; a failure is 503 */
export async function startSite(
  answers: Readonly<Record<string, () => Promise<string>>> = {},
): Promise<Site> {
  const server: Server = createServer((request, response) => {
    const answer = answers[request.url ?? ''];
    if (answer) {
      answer().then(
        (text) => response.end(text),
        () => response.writeHead(503).end(),
      );
      return;
    }
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>');
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
