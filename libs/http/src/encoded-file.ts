import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Request, Response } from 'express';

/** In the order in which they are chosen. */
const ENCODINGS = ['br', 'gzip'] as const;

type Encoding = (typeof ENCODINGS)[number];

/** Smaller files are sent as they are. */
const COMPRESSED_BYTES_MIN = 1024;

const COMPRESSIBLE = /^(?:text|application|image\/svg)/;

/** A file in memory, which is sent compressed where the client takes that, with an ETag by which it need not load it again. */
export class EncodedFile {
  readonly #bytes: Buffer;
  readonly #type: string;
  readonly #hash: string;
  /** Made when somebody first asks for it. */
  readonly #encoded = new Map<Encoding, Promise<Buffer>>();

  /** @param type its media type */
  constructor(bytes: Buffer, type: string) {
    this.#bytes = bytes;
    this.#type = type;
    this.#hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  }

  async send(request: Request, response: Response): Promise<void> {
    const encoding = this.#encodingFor(request);
    const tag = `"${this.#hash}-${encoding ?? 'identity'}"`;
    response.set({ 'Content-Type': this.#type, ETag: tag });
    response.vary('Accept-Encoding');
    if (request.get('If-None-Match')?.includes(tag)) {
      response.status(304).end();
      return;
    }
    const body = encoding ? await this.#encode(encoding) : this.#bytes;
    if (encoding) response.set('Content-Encoding', encoding);
    response.set('Content-Length', String(body.length)).end(body);
  }

  #encodingFor(request: Request): Encoding | undefined {
    if (this.#bytes.length < COMPRESSED_BYTES_MIN || !COMPRESSIBLE.test(this.#type))
      return undefined;
    return ENCODINGS.find((one) => request.acceptsEncodings(one) === one);
  }

  #encode(encoding: Encoding): Promise<Buffer> {
    const present = this.#encoded.get(encoding);
    if (present) return present;
    // In a thread of the pool. Nine of eleven takes a twentieth of the time, for 3 % more bytes.
    const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
    const made =
      encoding === 'br'
        ? promisify(brotliCompress)(this.#bytes, { params })
        : promisify(gzip)(this.#bytes, { level: 9 });
    this.#encoded.set(encoding, made);
    return made;
  }
}
