import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TokenKeeper } from './token-keeper.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function jwt(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
}

/** A function that gives tokens with this lifetime, all different. */
function issuer(seconds: number) {
  let asked = 0;
  const ask = vi.fn(() => {
    const iat = Math.floor(Date.now() / 1000);
    return jwt({ iat, exp: iat + seconds, jti: ++asked });
  });
  return ask;
}

test('token: is asked for once, until a tenth of its lifetime is left', async () => {
  const ask = issuer(100);
  const keeper = new TokenKeeper(ask);
  const [first, second] = await Promise.all([keeper.get(), keeper.get()]);
  expect(second).toBe(first);
  await vi.advanceTimersByTimeAsync(88_000);
  expect(await keeper.get()).toBe(first);
  await vi.advanceTimersByTimeAsync(4000);
  expect(await keeper.get()).not.toBe(first);
  expect(ask).toHaveBeenCalledTimes(2);
});

test('token of a day: is asked for half a minute early', async () => {
  const ask = issuer(86_400);
  const keeper = new TokenKeeper(ask);
  const first = await keeper.get();
  await vi.advanceTimersByTimeAsync(86_368_000);
  expect(await keeper.get()).toBe(first);
  await vi.advanceTimersByTimeAsync(3000);
  expect(await keeper.get()).not.toBe(first);
});

test('function that fails while the old token is valid: the old one is used', async () => {
  const ask = issuer(100);
  const keeper = new TokenKeeper(ask);
  const first = await keeper.get();
  await vi.advanceTimersByTimeAsync(95_000);
  ask.mockImplementationOnce(() => {
    throw new Error('away');
  });
  expect(await keeper.get()).toBe(first);
  expect(await keeper.get()).not.toBe(first);
});

test.each<[string, () => unknown]>([
  ['throws', () => Promise.reject(new Error('away'))],
  [
    'throws at once',
    () => {
      throw new Error('away');
    },
  ],
  ['gives no text', () => undefined],
  ['gives nothing', () => ''],
])('function that %s: fails as an outage, and is asked again', async (_, fail) => {
  const ask = vi.fn(fail as () => string).mockImplementationOnce(fail as () => string);
  const keeper = new TokenKeeper(ask);
  const offline = expect.objectContaining({ code: 'offline', retryable: true });
  await expect(keeper.get()).rejects.toEqual(offline);
  ask.mockImplementation(() => 'opaque');
  expect(await keeper.get()).toBe('opaque');
});

test('function that never answers: fails after its time', async () => {
  const keeper = new TokenKeeper(() => new Promise<string>(() => undefined));
  const failing = expect(keeper.get()).rejects.toEqual(
    expect.objectContaining({ code: 'offline' }),
  );
  await vi.advanceTimersByTimeAsync(10_000);
  await failing;
});

test('token that is refused: is replaced, but not one that has replaced it', async () => {
  const ask = issuer(100);
  const keeper = new TokenKeeper(ask);
  const first = await keeper.get();
  keeper.refuse(first);
  const second = await keeper.get();
  keeper.refuse(first);
  expect(await keeper.get()).toBe(second);
});
