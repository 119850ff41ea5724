import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeTopicToken, encodeTopicToken } from './topic-tokens.ts';
import { isTopic } from './topics.ts';

describe('topic tokens', () => {
  test.each([
    ['auth0|5f7c8ec7', 'auth0_-7c-_5f7c8ec7'],
    ['alice@example.com', 'alice_-40-_example_-2e-_com'],
    ['https://id.example/u/1', 'https_-3a2f2f-_id_-2e-_example_-2f-_u_-2f-_1'],
    ['Jürgen 😀', 'J_-c3bc-_rgen_-20f09f9880-_'],
    ['*', '_-2a-_'],
    ['>', '_-3e-_'],
    ['a.b', 'a_-2e-_b'],
    ['auth0_-7c-_x', 'auth0_-5f-_-7c-_x'],
  ])('%s: one token, and back', (text, token) => {
    expect(encodeTopicToken(text)).toBe(token);
    expect(decodeTopicToken(token)).toBe(text);
    expect(isTopic(token) && !token.includes('.')).toBe(true);
  });

  test.each(['alice', '1042', 'a-b', 'user_42', '_', '-', '_-', '_-7c', '__--__', 'x_-7C-_y'])(
    '%s: a token already, and stays as it is',
    (text) => expect(encodeTopicToken(text)).toBe(text),
  );

  test('any texts, also those that look like escapes: come back, and so no two have the same token', () => {
    const parts = fc.constantFrom('_', '-', '7c', '5f', '_-', '-_', '-_-', '_-7c-_', '|', 'é', 'x');
    const texts = fc.oneof(
      fc.array(parts, { minLength: 1, maxLength: 12 }).map((list) => list.join('')),
      fc.string({ minLength: 1, maxLength: 20 }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const token = encodeTopicToken(text) ?? '';
        expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeTopicToken(token)).toBe(text);
      }),
      { numRuns: 5000 },
    );
  });

  test('nothing, half of a surrogate pair: no token; a token that no text has: no text', () => {
    for (const text of ['', 'a\ud800']) expect(encodeTopicToken(text)).toBeUndefined();
    for (const token of ['_-ff-_', '_-61-_', '_-c0af-_', '_-7c-__-7c-_', 'a|b', '']) {
      expect(decodeTopicToken(token), token).toBeUndefined();
    }
  });
});
