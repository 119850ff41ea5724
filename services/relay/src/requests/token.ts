import { readFileSync, statSync } from 'node:fs';
import { ConfigurationError } from '@tidemark/config';
import type { Logger } from '@tidemark/telemetry';

/** Where the token is. */
export interface TokenOptions {
  readonly token: string;
  /** Read again when it changes; empty where there is none. */
  readonly tokenFile: string;
  readonly logger: Logger;
}

/** How often the file is looked at. */
const LOOK_MS = 1000;

/**
 * The token of the relay, as its file has it now. Only its `sub` is read here, because the events of other publishers
 * with the same source and id are other events.
 */
export class Token {
  readonly #file: string;
  readonly #logger: Logger;
  #text: string;
  #subject: string;
  #version = '';
  #lookMs = 0;
  #proven = false;

  /** @throws ConfigurationError where it is no JWT with a `sub` */
  constructor({ token, tokenFile, logger }: TokenOptions) {
    const subject = subjectOf(token);
    if (subject === undefined) {
      throw new ConfigurationError(['TIDEMARK_RELAY_TOKEN is not a JWT with a sub']);
    }
    this.#file = tokenFile;
    this.#logger = logger;
    this.#text = token;
    this.#subject = subject;
  }

  /** As a header has it. */
  get text(): string {
    this.#look();
    return this.#text;
  }

  /** The `publisher` of the events that it publishes. */
  get subject(): string {
    return this.#subject;
  }

  /**
   * Whether it has published an event. Before that, `forbidden` may mean that it is the wrong token, and not that a row
   * is wrong.
   */
  get proven(): boolean {
    return this.#proven;
  }

  prove(): void {
    this.#proven = true;
  }

  #look(): void {
    const nowMs = performance.now();
    if (this.#file === '' || nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_MS;
    try {
      const { mtimeMs, ino, size } = statSync(this.#file);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === this.#version) return;
      this.#version = version;
      this.#take(readFileSync(this.#file, 'utf8').trim());
    } catch (error) {
      this.#logger.warn(
        { err: error },
        'the file of the token cannot be read; the former one is used',
      );
    }
  }

  #take(text: string): void {
    if (text === this.#text) return;
    const subject = subjectOf(text);
    if (subject === undefined) {
      this.#logger.warn('the file of the token holds no JWT with a sub; the former one is used');
      return;
    }
    if (subject !== this.#subject) {
      this.#logger.warn(
        'the sub of the token has changed: what the former one sent is not recognised',
      );
    }
    this.#text = text;
    this.#subject = subject;
    this.#proven = false;
    this.#logger.info('the token was read anew');
  }
}

/** The `sub` in a JWT, which is not verified; `undefined` for any other text. */
function subjectOf(token: string): string | undefined {
  const [, claims = ''] = token.split('.');
  try {
    const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
    return typeof sub === 'string' && sub !== '' ? sub : undefined;
  } catch {
    return undefined;
  }
}
