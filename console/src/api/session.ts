import { computed, signal } from '@preact/signals';
import { readStored, store } from './storage.ts';
import type { Me } from './types.ts';

/** The token, and what is known of it. `notice` is for the person: why there is no token any more. */
export type Session =
  | { readonly state: 'none'; readonly notice?: string }
  | { readonly state: 'checking'; readonly token: string }
  | { readonly state: 'unreachable'; readonly token: string; readonly notice: string }
  | { readonly state: 'open'; readonly token: string; readonly me: Me };

const KEY = 'tidemark-console-token';
const IN_ADDRESS = /^#token=(.+)$/;

export const session = signal<Session>({ state: 'none' });

/** Whose token it is; `undefined` without a session. */
export const me = computed<Me | undefined>(() =>
  session.value.state === 'open' ? session.value.me : undefined,
);

/**
 * The token of the address (`#token=…`), or else of this tab. It leaves the address at once, so that it is in no history,
 * bookmark or screenshot.
 */
export function storedToken(): string | undefined {
  const [, given] = IN_ADDRESS.exec(location.hash) ?? [];
  if (given) {
    history.replaceState(null, '', `${location.pathname}${location.search}#/`);
    store('sessionStorage', KEY, given);
    return given;
  }
  return readStored('sessionStorage', KEY);
}

/** The token of the session; empty where there is none. */
export function currentToken(): string {
  return 'token' in session.value ? session.value.token : '';
}

/** Takes a token into use, unchecked. */
export function begin(token: string): void {
  store('sessionStorage', KEY, token);
  session.value = { state: 'checking', token };
}

/** Forgets the token. */
export function end(notice?: string): void {
  store('sessionStorage', KEY, undefined);
  session.value = { state: 'none', ...(notice !== undefined && { notice }) };
}

/** Whether the token has the scope `admin`. */
export function mayAdmin(): boolean {
  return me.value?.permissions.includes('admin') === true;
}

/** Whether the token has a permission of one of these kinds, whatever its pattern. */
export function mayAny(...kinds: readonly string[]): boolean {
  const held = me.value?.permissions.map((one) => one.split(':', 1)[0] ?? '') ?? [];
  return kinds.some((kind) => held.includes(kind));
}
