import type { webcrypto } from 'node:crypto';
import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';

/** Largest JWK set that is read. */
const SET_BYTES_MAX = 256 * 1024;

/** Most keys of one set that are tried for a token without a key id, or whose key has none. */
const CANDIDATES_MAX = 8;

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
 * The keys behind a URL. A set that is older than its cache time is fetched again in the background. While the
 * URL cannot be reached the last set stays valid, so that an outage of the issuer does not stop services.
 */
export class RemoteKeys {
  readonly #url: URL;
  readonly #options: RemoteKeysOptions;
  #text: string | undefined;
  #set: KeySet | undefined;
  #fetchedMs = Number.NEGATIVE_INFINITY;
  #fetch: Promise<void> | undefined;

  /** @throws ConfigurationError when the URL is neither https nor a loopback address */
  constructor(options: RemoteKeysOptions) {
    this.#url = parseUrl(options.url);
    this.#options = options;
  }

  /**
   * The keys that may have signed a token with this header: those with its key id, and those without one.
   * Where there is none the set is renewed.
   *
   * @throws TidemarkError `unavailable` while no set could be fetched
   */
  async find(header: JWSHeaderParameters): Promise<RemoteKey[]> {
    const { cacheSeconds } = this.#options;
    if (!this.#set) await this.#fetchOnce();
    else if (this.#ageMs > cacheSeconds * 1000) void this.#fetchOnce();
    const keys = await this.#matching(header);
    if (keys.length > 0 || !(await this.renew())) return keys;
    return this.#matching(header);
  }

  /**
   * Fetches the set again, but not twice within the cooldown: for a token whose key is not in the set, or whose
   * signature no key of the set has made, because the issuer may have replaced a key.
   *
   * @returns whether the set is another one now
   */
  async renew(): Promise<boolean> {
    const before = this.#text;
    const isCooling = this.#ageMs < this.#options.cooldownSeconds * 1000;
    if (this.#fetch || !isCooling) await this.#fetchOnce();
    return this.#text !== before;
  }

  get #ageMs(): number {
    return performance.now() - this.#fetchedMs;
  }

  async #matching(header: JWSHeaderParameters): Promise<RemoteKey[]> {
    return this.#set ? this.#set.find(header) : [];
  }

  #fetchOnce(): Promise<void> {
    this.#fetch ??= this.#fetchSet().finally(() => {
      this.#fetch = undefined;
    });
    return this.#fetch;
  }

  async #fetchSet(): Promise<void> {
    if (!this.#set && this.#ageMs < RETRY_MS) throw unavailable();
    this.#fetchedMs = performance.now();
    try {
      const text = await fetchSet(this.#url, this.#options.timeoutMs);
      this.#set = openSet(JSON.parse(text));
      this.#text = text;
    } catch (error) {
      tellFailure(error, this.#options);
      // The last set counts as fetched anew, so that the cooldown holds for failures too.
      if (!this.#set) throw unavailable(error);
    }
  }
}

/** A public key of the set. */
export type RemoteKey = webcrypto.CryptoKey;

interface KeySet {
  find(header: JWSHeaderParameters): Promise<RemoteKey[]>;
}

/** @throws errors of `jose` where the answer is not a JWK set, so that it never replaces one */
function openSet(set: JSONWebKeySet): KeySet {
  const all = createLocalJWKSet(set);
  const unnamed = createLocalJWKSet({ keys: set.keys.filter(({ kid }) => kid === undefined) });
  return {
    async find(header) {
      const { kid, ...nameless } = header;
      if (kid === undefined) return collect(all, nameless);
      return [...(await collect(all, header)), ...(await collect(unnamed, nameless))];
    },
  };
}

/** The keys of a set that fit. One that cannot be used is passed over: it is no fault of the server. */
async function collect(
  keys: ReturnType<typeof createLocalJWKSet>,
  header: JWSHeaderParameters,
): Promise<RemoteKey[]> {
  try {
    return [await keys(header as never)];
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return [];
    const found: RemoteKey[] = [];
    for await (const key of error) {
      found.push(key);
      if (found.length === CANDIDATES_MAX) break;
    }
    return found;
  }
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

async function fetchSet(url: URL, timeoutMs: number): Promise<string> {
  const response = await fetch(url, {
    headers: { accept: 'application/json, application/jwk-set+json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the answer has status ${response.status}`);
  }
  return readText(response);
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
