import { fileURLToPath } from 'node:url';
import type { GatewayConfiguration } from '@tidemark/config';
import { type OpenPage, staticFolder } from '@tidemark/http';

/** Where the console is served. */
const PATH = '/console/';

/** What `npm run build` makes of `console`. */
const FOLDER = fileURLToPath(new URL('../../../../console/dist/', import.meta.url));

/** The settings of the console. */
export type ConsoleConfiguration = Pick<
  GatewayConfiguration,
  'console' | 'consoleUrl' | 'consoleReplayUrl' | 'jaegerUrl'
>;

/**
 * The console: a page for operators, with no rights of its own. It does what the token permits that its user brings.
 * `configuration.json` beside it tells it where the services are, as a browser reaches them.
 */
export function consolePages(configuration: ConsoleConfiguration, version: string): OpenPage[] {
  if (configuration.console === 'off') return [];
  const { consoleUrl, consoleReplayUrl, jaegerUrl } = configuration;
  const answer = {
    version,
    gateway: consoleUrl === '' ? null : consoleUrl,
    replay: consoleReplayUrl === '' ? null : consoleReplayUrl,
    traces: jaegerUrl !== '',
  };
  return [
    {
      path: `${PATH}configuration.json`,
      serve: (_request, response) => {
        response.json(answer);
      },
    },
    ...staticFolder({
      folder: FOLDER,
      path: PATH,
      headers: {
        'Content-Security-Policy': contentPolicy([consoleUrl, consoleReplayUrl]),
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Resource-Policy': 'same-origin',
        'Referrer-Policy': 'no-referrer',
      },
      missing: 'The console is not built. `npm run build` makes it.',
    }),
  ];
}

/** The page loads nothing from elsewhere, and reaches these addresses and its own origin alone. */
export function contentPolicy(urls: readonly string[]): string {
  const origins = urls.filter((url) => url !== '').map((url) => new URL(url).origin);
  const connect = origins.flatMap((origin) => [origin, origin.replace(/^http/, 'ws')]);
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    ["connect-src 'self'", ...new Set(connect)].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
