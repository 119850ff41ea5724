import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';

/** Largest JWK set that is read. */
const SET_BYTES_MAX = 256 * 1024;

/** While no set has ever been fetched, a failed fetch is repeated at most this often. */
const RETRY_MS = 1000;

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

export interface RemoteKeysOptions {
  readonly url: string;
  readonly cacheSeconds: number;
  readonly cooldownSeconds: number;
  readonly timeoutMs: number;
  /** Called for each fetch that failed. */
  readonly onFailure: (reason: string) => void;
  /** Called in addition where the fetch took too long. */
  readonly onLate: () => void;
}

/**
 * The keys behind a URL, for `jose`. A token with an unknown key id causes a fetch, at most one in each
 * cooldown. A set that is older than its cache time is fetched again in the background. While the URL
 * cannot be reached the last set stays valid, so that an outage of the issuer does not stop services.
 *
 * @throws ConfigurationError when the URL is neither https nor a loopback address
 */
export function createRemoteKeys(options: RemoteKeysOptions): JWTVerifyGetKey {
  const url = parseUrl(options.url);
  const cacheMs = options.cacheSeconds * 1000;
  let known: string | undefined;
  let fetchedMs = Number.NEGATIVE_INFINITY;
  const keys = createRemoteJWKSet(url, {
    // Renewed below instead, so that no request waits for it.
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: options.cooldownSeconds * 1000,
    timeoutDuration: options.timeoutMs,
    async [customFetch](address, init) {
      if (known === undefined && performance.now() - fetchedMs < RETRY_MS) throw unavailable();
      fetchedMs = performance.now();
      try {
        known = await fetchSet(address, init);
      } catch (error) {
        tellFailure(error, options);
        // The last set counts as fetched anew, so that the cooldown holds for failures too.
        if (known === undefined) throw unavailable(error);
      }
      return new Response(known);
    },
  });
  return (header, token) => {
    if (known !== undefined && performance.now() - fetchedMs > cacheMs) void keys.reload();
    return keys(header, token);
  };
}

function tellFailure(error: unknown, options: RemoteKeysOptions): void {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name !== 'TimeoutError') {
    options.onFailure(message);
    return;
  }
  options.onLate();
  options.onFailure(`the answer took longer than ${options.timeoutMs} ms`);
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.username !== '' || url.password !== '')) {
    throw new ConfigurationError(['TIDEMARK_TOKEN_JWKS_URL must hold no user and no password']);
  }
  const secure = url?.protocol === 'https:';
  if (url && (secure || (url.protocol === 'http:' && LOOPBACK.has(url.hostname)))) return url;
  throw new ConfigurationError([
    'TIDEMARK_TOKEN_JWKS_URL must begin with https://, or with http:// and a loopback address',
  ]);
}

async function fetchSet(address: string, init: RequestInit): Promise<string> {
  const response = await fetch(address, init);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the answer has status ${response.status}`);
  }
  const text = await readText(response);
  const set = JSON.parse(text);
  // Throws where the answer is not a JWK set, so that it never replaces one.
  createLocalJWKSet(set);
  return text;
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > SET_BYTES_MAX) throw new Error(`the answer has more than ${SET_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unavailable(cause?: unknown): TidemarkError {
  return new TidemarkError(
    'unavailable',
    'The keys that tokens are signed with cannot be fetched.',
    {
      retryAfterSeconds: 1,
      cause,
    },
  );
}
