import { readFileSync } from 'node:fs';
import { ConfigurationError, type Environment } from '@tidemark/config';
import { isTopic, TOPIC_RULE } from '@tidemark/protocol';
import { z } from 'zod';
import type { Hook } from './hook.ts';
import {
  type CheckSignature,
  createSignatureCheck,
  readSecret,
  type SignatureStyle,
} from './signature.ts';
import { parsePointer, parseTemplate, sampleOf } from './template.ts';

/** The setting that names the file. */
const VARIABLE = 'TIDEMARK_INGEST_HOOKS';

/** How far a signed time may be from ours, as the libraries of senders have it. */
const TOLERANCE_SECONDS = 300;

const HOOK_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const HEADER_NAME = /^[\w!#$&^.+-]+$/;
const URI_REFERENCE = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;

/**
 * Reads the configured webhooks.
 *
 * @param file empty for none
 * @param environment holds the secrets that the file names as `env:<name>`
 * @throws ConfigurationError that names every fault with its hook and its field
 */
export function readHooks(file: string, environment: Environment): ReadonlyMap<string, Hook> {
  if (file === '') return new Map();
  const written = readJson(file);
  const parsed = schemaFor(environment).safeParse(written);
  if (!parsed.success) {
    throw new ConfigurationError(parsed.error.issues.map((issue) => describe(issue, written)));
  }
  return new Map(
    Object.entries(parsed.data.hooks).map(([name, { signature, each, ...templates }]) => {
      return [name, { name, each, templates, checkSignature: signature }];
    }),
  );
}

const template = z
  .string('must be a text')
  .min(1, 'must not be empty')
  .transform(orIssue(parseTemplate));
const topic = template.refine(
  (one) => isTopic(sampleOf(one, 'x')),
  `must be a topic: ${TOPIC_RULE}`,
);
const source = template.refine(
  (one) => URI_REFERENCE.test(sampleOf(one, 'x')),
  'must be a URI reference',
);
const header = z
  .string('must be a text')
  .regex(HEADER_NAME, 'must be the name of a header')
  .transform((name) => name.toLowerCase());
const toleranceSeconds = z
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(86_400, 'must be at most 86400')
  .default(TOLERANCE_SECONDS);

const styles = {
  github: z.strictObject({ style: z.literal('github') }),
  token: z.strictObject({ style: z.literal('token'), header }),
  stripe: z.strictObject({ style: z.literal('stripe'), toleranceSeconds }),
  standard: z.strictObject({ style: z.literal('standard-webhooks'), toleranceSeconds }),
  hmac: z.strictObject({
    style: z.literal('hmac'),
    header,
    algorithm: z.enum(['sha256', 'sha512'], 'must be sha256 or sha512').default('sha256'),
    encoding: z.enum(['hex', 'base64'], 'must be hex or base64'),
    prefix: z.string('must be a text').default(''),
  }),
};

function schemaFor(environment: Environment) {
  const secrets = z
    .array(
      z.string('must be a text').transform(orIssue((text) => readReference(text, environment))),
    )
    .min(1, 'must have at least one secret');
  const signed = z.discriminatedUnion(
    'style',
    [
      z.strictObject({ style: z.literal('none') }),
      styles.github.extend({ secrets }),
      styles.token.extend({ secrets }),
      styles.stripe.extend({ secrets }),
      styles.standard.extend({ secrets }),
      styles.hmac.extend({ secrets }),
    ],
    'must be "none", or have a style: github, stripe, standard-webhooks, hmac or token',
  );
  const signature = z
    .preprocess((value) => (value === 'none' ? { style: 'none' } : value), signed)
    .transform(toCheck);
  const hook = z.strictObject({
    id: template,
    source,
    type: template,
    topic,
    subject: template.optional(),
    time: template.optional(),
    each: z.string('must be a text').transform(orIssue(parsePointer)).optional(),
    signature,
  });
  const name = z.string().regex(HOOK_NAME, 'must be the name of a hook: a-z 0-9 _ -');
  return z.strictObject({ hooks: z.record(name, hook) });
}

/**
 * The secret that a reference names.
 *
 * @throws SyntaxError
 */
function readReference(reference: string, environment: Environment): string {
  const [kind, rest = ''] = reference.split(/:(.*)/s, 2);
  if (kind === 'plain') return rest;
  if (kind === 'env') {
    const text = environment[rest];
    if (text) return text;
    throw new SyntaxError(`names the variable ${rest}, which is not set`);
  }
  // Not what was written, which may be a secret without its prefix.
  if (kind !== 'file') throw new SyntaxError('must be env:<name>, file:<path> or plain:<secret>');
  try {
    return readFileSync(rest, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SyntaxError(`names the file ${rest}, which cannot be read (${code})`);
  }
}

function toCheck(
  style: SignatureStyle & { readonly secrets?: readonly string[] },
  context: z.RefinementCtx,
): CheckSignature {
  const { secrets = [] } = style;
  const bytes = secrets.map((secret, at) => {
    return orIssue((text) => readSecret(text, style), ['secrets', at])(secret, context);
  });
  return context.issues.length > 0 ? z.NEVER : createSignatureCheck(style, bytes);
}

/** Makes an issue of what a parser throws. */
function orIssue<T>(parse: (text: string) => T, path: PropertyKey[] = []) {
  return (text: string, context: z.RefinementCtx): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, path: [...path] });
      return z.NEVER;
    }
  };
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigurationError([`${VARIABLE}: ${file} cannot be read (${code})`]);
  }
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own text would quote the file, which may hold secrets.
    throw new ConfigurationError([`${VARIABLE}: ${file} is not JSON`]);
  }
}

/** One line about a fault: `TIDEMARK_INGEST_HOOKS: hook github: signature.secrets[0] …`. */
function describe(issue: z.core.$ZodIssue, written: unknown): string {
  const [first, name, ...rest] = issue.path;
  const field = rest
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('');
  const isHook = first === 'hooks' && name !== undefined;
  const where = isHook
    ? `hook ${String(name)}:${field === '' ? '' : ` ${field.slice(1)}`}`
    : '"hooks"';
  return `${VARIABLE}: ${where} ${sayWhy(issue, written)}`;
}

function sayWhy(issue: z.core.$ZodIssue, written: unknown): string {
  if (issue.code === 'unrecognized_keys') return `has no field ${issue.keys.join(', ')}`;
  if (issue.code === 'invalid_key') return 'must have a name of a-z 0-9 _ -, at most 64 characters';
  let value = written;
  for (const key of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  if (value === undefined) return 'is missing';
  return issue.code === 'invalid_type' && !/^must/.test(issue.message)
    ? `must be an ${issue.expected === 'array' ? 'array' : 'object'}`
    : issue.message;
}
