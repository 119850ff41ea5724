import { createHmac, timingSafeEqual } from 'node:crypto';
import { ConfigurationError, type RecordConfiguration } from '@tidemark/config';

/** What the keys of records are derived for; another purpose would have other keys. */
const PURPOSE = 'tidemark stored records, version 1';

/** `<authentication code>.<ms since 1970>.<text>`. A version before wrote no time. */
const RECORD = /^([\w-]{43})\.(?:(\d{1,15})\.)?(.*)$/s;

/**
 * How far the time of a record may be from the time at which NATS stored it. It has to hold how far their clocks
 * differ and how long a write takes; somebody who writes a record again has this time for it.
 */
export const RECORD_TOLERANCE_MS = 60_000;

/** What a store of sealed records has. */
export interface RecordStoreOptions {
  readonly seal: RecordSeal;
  /** How long one request to NATS may take. */
  readonly timeoutMs: number;
}

/** Where a record is, and so what it was sealed for. */
export interface RecordPlace {
  readonly bucket: string;
  readonly key: string;
}

/** A record as a bucket has it. */
export interface StoredPayload {
  readonly payload: Uint8Array;
  /** When NATS stored it, in ms since 1970. */
  readonly storedMs: number;
  /** Records without a time that were stored until then are opened, in ms since 1970; none if absent. */
  readonly untimedUntilMs?: number;
}

/** What a record says, or why nobody may believe it. */
export type OpenedRecord =
  | { readonly text: string; readonly fault?: undefined }
  | { readonly text?: undefined; readonly fault: string };

/**
 * Authenticates what services store in buckets. NATS lets others write there in ways that its permissions
 * do not see: an answer to a request goes to whatever subject the request names. Only what somebody with a
 * secret of the deployment has sealed, for this bucket, this key and this time, is opened. So a record that was
 * replaced or used up cannot be put back later.
 */
export class RecordSeal {
  readonly #keys: readonly Buffer[];

  /** @param secrets the first seals; all of them open */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update(PURPOSE).digest());
  }

  /**
   * A record with its authentication code.
   *
   * @param nowMs when it is written, in ms since 1970
   */
  seal({ bucket, key }: RecordPlace, text: string, nowMs = Date.now()): string {
    const [sealing] = this.#keys;
    if (!sealing) throw new Error('There is no secret to seal records with.');
    const mac = macOf(sealing, [bucket, key, String(nowMs), text]);
    return `${mac.toString('base64url')}.${nowMs}.${text}`;
  }

  /** Opens a record that somebody with a secret has sealed for this place, at the time at which it was stored. */
  open({ bucket, key }: RecordPlace, stored: StoredPayload): OpenedRecord {
    const { payload, storedMs, untimedUntilMs = Number.NEGATIVE_INFINITY } = stored;
    const [, mac, time, text] = RECORD.exec(Buffer.from(payload).toString('utf8')) ?? [];
    if (mac === undefined || text === undefined) return { fault: 'it has no seal' };
    const parts = time === undefined ? [bucket, key, text] : [bucket, key, time, text];
    if (!this.#isSealed(Buffer.from(mac, 'base64url'), parts))
      return { fault: 'its seal is wrong' };
    if (time === undefined) {
      return storedMs <= untimedUntilMs ? { text } : { fault: 'its seal has no time' };
    }
    const apartMs = Math.abs(Number(time) - storedMs);
    if (apartMs <= RECORD_TOLERANCE_MS) return { text };
    return { fault: `it was sealed ${apartMs} ms before or after it was stored` };
  }

  #isSealed(mac: Buffer, parts: readonly string[]): boolean {
    return this.#keys.some((one) => {
      const expected = macOf(one, parts);
      return mac.length === expected.length && timingSafeEqual(mac, expected);
    });
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
