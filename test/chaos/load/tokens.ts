import { signToken } from '@tidemark/auth';
import { TEST_SECRET } from '../../support/services.ts';
import type { Recorder } from '../recorder.ts';

/** What a user may do: patterns by action. */
export interface Permissions {
  readonly subscribe?: readonly string[];
  readonly history?: readonly string[];
  readonly publish?: readonly string[];
  readonly admin?: boolean;
}

/** A token, and the name under which the history knows it. */
export interface MadeToken {
  readonly name: string;
  readonly text: string;
  readonly jti: string;
  readonly expiresAtMs: number;
  revoked: boolean;
}

/** Makes the tokens of a run. */
export class Tokens {
  /** Those that clients use and that an operator may revoke. */
  readonly revocable: MadeToken[] = [];
  readonly #recorder: Recorder;
  #made = 0;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  async make(user: string, permissions: Permissions, ttlSeconds = 3600): Promise<MadeToken> {
    const { subscribe = [], history = [], publish = [], admin = false } = permissions;
    const words = [
      ...subscribe.map((pattern) => `subscribe:${pattern}`),
      ...history.map((pattern) => `history:${pattern}`),
      ...publish.map((pattern) => `publish:${pattern}`),
      ...(admin ? ['admin'] : []),
    ];
    const scope = words.join(' ');
    const text = await signToken({ secret: TEST_SECRET, subject: user, scope, ttlSeconds });
    const claims = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString());
    const name = `${user}#${++this.#made}`;
    const expiresAtMs = this.#recorder.nowMs + claims.exp * 1000 - Date.now();
    this.#recorder.record({ kind: 'token', token: name, user, subscribe, history, expiresAtMs });
    return { name, text, jti: claims.jti, expiresAtMs, revoked: false };
  }
}
