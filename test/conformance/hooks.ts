import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepSecret } from '../support/services.ts';

const SAMPLES = new URL('hook-samples/', import.meta.url);

/** The secrets of the hooks, by the variables that hold them. */
export const SECRETS = {
  GITHUB_SECRET: keepSecret('the secret that GitHub signs with'),
  GITHUB_OLD_SECRET: keepSecret('the secret that GitHub signed with'),
  STRIPE_SECRET: keepSecret('whsec_the secret that Stripe signs with'),
  SHOPIFY_SECRET: keepSecret('the secret that Shopify signs with'),
  INTUIT_SECRET: keepSecret('the token that Intuit signs with'),
  STANDARD_SECRET: keepSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
  GITLAB_SECRET: keepSecret('the token that GitLab sends'),
} as const;

const INTUIT = {
  style: 'hmac',
  header: 'Intuit-Signature',
  encoding: 'base64',
  secrets: ['env:INTUIT_SECRET'],
};

/** Hooks as an operator would configure them for these senders. */
export const HOOKS = {
  github: {
    topic: "github.{/repository/id|/organization/id|'none'}",
    type: 'com.github.{header:x-github-event}',
    source: "https://github.com/{/repository/full_name|/organization/login|'none'}",
    id: '{header:x-github-delivery}',
    signature: { style: 'github', secrets: ['env:GITHUB_SECRET', 'env:GITHUB_OLD_SECRET'] },
  },
  stripe: {
    topic: 'stripe.{/type}',
    type: 'com.stripe.{/type}',
    source: 'https://api.stripe.com/',
    subject: '{/data/object/id}',
    id: '{/id}',
    time: '{/created}',
    signature: { style: 'stripe', secrets: ['env:STRIPE_SECRET'] },
  },
  shopify: {
    topic: 'shopify.{header:x-shopify-topic}.{/id}',
    type: 'com.shopify.{header:x-shopify-topic}',
    source: 'https://{header:x-shopify-shop-domain}/',
    id: '{header:x-shopify-event-id|header:x-shopify-webhook-id}',
    time: '{/created_at}',
    signature: {
      style: 'hmac',
      header: 'X-Shopify-Hmac-Sha256',
      encoding: 'base64',
      secrets: ['env:SHOPIFY_SECRET'],
    },
  },
  intuit: {
    each: '/eventNotifications',
    topic: 'intuit.{/realmId}',
    type: 'com.intuit.changed',
    source: 'https://quickbooks.intuit.com/{/realmId}',
    id: '{sha256}',
    signature: INTUIT,
  },
  'intuit-events': {
    each: '',
    topic: 'intuit.{/intuitaccountid}',
    type: 'com.intuit.{/type}',
    source: 'intuit:{/source}',
    subject: '{/intuitentityid}',
    id: '{/id}',
    time: '{/time}',
    signature: INTUIT,
  },
  standard: {
    topic: 'standard.{/type}',
    type: '{/type}',
    source: '/standard',
    id: '{header:webhook-id}',
    time: '{header:webhook-timestamp}',
    signature: { style: 'standard-webhooks', secrets: ['env:STANDARD_SECRET'] },
  },
  gitlab: {
    topic: 'gitlab.{/object_kind}',
    type: 'com.gitlab.{/object_kind}',
    source: '/gitlab',
    id: '{header:x-gitlab-event-uuid}',
    signature: { style: 'token', header: 'X-Gitlab-Token', secrets: ['env:GITLAB_SECRET'] },
  },
  open: {
    topic: 'open.{/room}',
    type: 'open.sent',
    source: '/open',
    id: '{/id}',
    signature: 'none',
  },
};

export interface HooksFile {
  /** What ingest is started with. */
  readonly env: Readonly<Record<string, string>>;
  remove(): void;
}

/** Writes the file that configures the hooks. */
export function writeHooks(hooks: object = HOOKS): HooksFile {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-hooks-'));
  const file = join(folder, 'hooks.json');
  writeFileSync(file, JSON.stringify({ hooks }));
  return {
    env: { ...SECRETS, TIDEMARK_INGEST_HOOKS: file },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The body of a webhook as its sender documents it. */
export function sampleOf(name: string): string {
  return readFileSync(new URL(`${name}.json`, SAMPLES), 'utf8');
}

export function hmac(secret: string | Uint8Array, text: string, encoding: 'hex' | 'base64') {
  return createHmac('sha256', secret).update(text).digest(encoding);
}

const nowSeconds = () => Math.floor(Date.now() / 1000);

/** How each sender signs a body. */
export const signers = {
  github: (body: string, secret: string = SECRETS.GITHUB_SECRET) => ({
    'x-hub-signature-256': `sha256=${hmac(secret, body, 'hex')}`,
  }),
  stripe: (body: string, seconds = nowSeconds()) => ({
    'stripe-signature': `t=${seconds},v1=${hmac(SECRETS.STRIPE_SECRET, `${seconds}.${body}`, 'hex')}`,
  }),
  shopify: (body: string) => ({
    'x-shopify-hmac-sha256': hmac(SECRETS.SHOPIFY_SECRET, body, 'base64'),
  }),
  intuit: (body: string) => ({ 'intuit-signature': hmac(SECRETS.INTUIT_SECRET, body, 'base64') }),
  standard: (body: string, id: string, seconds = nowSeconds()) => {
    const key = Buffer.from(SECRETS.STANDARD_SECRET.slice('whsec_'.length), 'base64');
    return {
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': `v1,${hmac(key, `${id}.${seconds}.${body}`, 'base64')}`,
    };
  },
};
