import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Every sealed text has this length, so that it does not tell how long the name in it is. */
const PADDED_BYTES = 256;

/** A place in the sorted list of topics. */
export interface Place {
  /** The topic that was looked at last. */
  readonly name: string;
  /** The end of the archive when the place was reached; a sequence. */
  readonly end: number;
}

/**
 * Encrypts places in the list of topics. The topic at a place may be one that the client
 * must not see, so the client gets a text that tells nothing. It holds only for the request that it was
 * made for: with another one, a client could compare the hidden topic with topics of its own.
 */
export class PlaceSealer {
  readonly #sharedKey: () => Buffer | undefined;
  readonly #ownKey = randomBytes(32);

  /**
   * @param sharedKey 32 bytes that all replay services have. While it is not known, a place holds at this process
   *   only
   */
  constructor(sharedKey: () => Buffer | undefined) {
    this.#sharedKey = sharedKey;
  }

  get #key(): Buffer {
    return this.#sharedKey() ?? this.#ownKey;
  }

  /** @param request what the place belongs to, as text */
  seal({ name, end }: Place, request: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce).setAAD(Buffer.from(request));
    const padded = Buffer.alloc(PADDED_BYTES, ' ');
    padded.write(JSON.stringify([name, end]));
    const sealed = [nonce, cipher.update(padded), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(sealed).toString('base64url');
  }

  /** @returns `undefined` for a text with another key, or of another request */
  open(text: string, request: string): Place | undefined {
    const sealed = Buffer.from(text, 'base64url');
    if (sealed.length !== NONCE_BYTES + PADDED_BYTES + TAG_BYTES) return undefined;
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(request))
      .setAuthTag(sealed.subarray(-TAG_BYTES));
    const opened = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    const [name, end] = JSON.parse(opened.toString()) as [string, number];
    return { name, end };
  }
}
