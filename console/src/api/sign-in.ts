import { ApiError, call } from './request.ts';
import { begin, end, session } from './session.ts';
import type { Me } from './types.ts';

/** A JWT has three parts of base64url; what is not one is not sent. */
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const RETRY_MS = 2000;

/** Opens the session with a token, once the gateway has said whose it is. While it does not answer it is asked again. */
export async function signIn(given: string): Promise<void> {
  const token = given.trim().replace(/^Bearer\s+/i, '');
  if (!JWT.test(token)) {
    end('This is not a token: a token is a JWT, three parts with dots between them.');
    return;
  }
  begin(token);
  await check(token);
}

async function check(token: string): Promise<void> {
  try {
    const found = await call<Me>('GET', '/v1/me');
    if (isCurrent(token)) session.value = { state: 'open', token, me: found };
  } catch (error) {
    if (!isCurrent(token)) return;
    const { status, message } =
      error instanceof ApiError ? error : new ApiError('internal', String(error), 0);
    if (status >= 400 && status < 500 && status !== 429) {
      end(message);
      return;
    }
    session.value = { state: 'unreachable', token, notice: `${message} Trying again.` };
    setTimeout(() => {
      if (isCurrent(token)) check(token);
    }, RETRY_MS);
  }
}

/** Whether nobody has entered another token meanwhile, or this one again. */
function isCurrent(token: string): boolean {
  const { state } = session.value;
  return (state === 'checking' || state === 'unreachable') && session.value.token === token;
}
