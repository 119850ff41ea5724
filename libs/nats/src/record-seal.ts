import { createHmac, timingSafeEqual } from 'node:crypto';
import { ConfigurationError, type RecordConfiguration } from '@tidemark/config';

/** What the keys of records are derived for; another purpose would have other keys. */
const PURPOSE = 'tidemark stored records, version 1';

/** Characters of a SHA-256 in base64url. */
const MAC_LENGTH = 43;

/** What a store of sealed records has. */
export interface RecordStoreOptions {
  readonly seal: RecordSeal;
  /** How long one request to NATS may take. */
  readonly timeoutMs: number;
}

/**
 * Authenticates what services store in buckets. NATS lets others write there in ways that its permissions
 * do not see: an answer to a request goes to whatever subject the request names. Only what somebody with a
 * secret of the deployment has sealed, for this bucket and this key, is opened.
 */
export class RecordSeal {
  readonly #keys: readonly Buffer[];

  /** @param secrets the first seals; all of them open */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update(PURPOSE).digest());
  }

  /** A record with its authentication code. */
  seal(bucket: string, key: string, text: string): string {
    const [sealing] = this.#keys;
    if (!sealing) throw new Error('There is no secret to seal records with.');
    return `${macOf(sealing, [bucket, key, text]).toString('base64url')}.${text}`;
  }

  /** @returns what was sealed for this bucket and key; `undefined` where nobody with a secret did that */
  open(bucket: string, key: string, payload: Uint8Array): string | undefined {
    const record = Buffer.from(payload).toString('utf8');
    if (record[MAC_LENGTH] !== '.') return undefined;
    const mac = Buffer.from(record.slice(0, MAC_LENGTH), 'base64url');
    const text = record.slice(MAC_LENGTH + 1);
    const isSealed = this.#keys.some((one) => {
      const expected = macOf(one, [bucket, key, text]);
      return mac.length === expected.length && timingSafeEqual(mac, expected);
    });
    return isSealed ? text : undefined;
  }
}

/**
 * The seal of a deployment: with its record secret, otherwise with the secret that signs tokens. Records of
 * older secrets are opened too.
 *
 * @throws ConfigurationError where there is no secret
 */
export function createSeal(settings: RecordConfiguration): RecordSeal {
  const { recordSecret, recordOldSecrets, tokenSecret, tokenOldSecrets } = settings;
  if (recordSecret === '' && tokenSecret === '') {
    throw new ConfigurationError([
      'TIDEMARK_RECORD_SECRET is needed where TIDEMARK_TOKEN_SECRET is not set',
    ]);
  }
  const older = `${recordOldSecrets}\n${tokenSecret}\n${tokenOldSecrets}`.split('\n');
  const secrets = [recordSecret, ...older].map((one) => one.trim());
  return new RecordSeal(secrets.filter((one) => one !== ''));
}

/** Of parts with their lengths, so that no other division of them has the same code. */
function macOf(key: Buffer, parts: readonly string[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(`${Buffer.byteLength(part)}:${part}`);
  return mac.digest();
}
