import { expect, test } from 'vitest';
import { findToken, type TokenCarrier } from './token-lookup.ts';

const lookup = { cookieName: 'tidemark' };

test.each<[string, TokenCarrier, string | undefined]>([
  ['Authorization header', { headers: { authorization: 'Bearer a.b.c' } }, 'a.b.c'],
  ['scheme in another case', { headers: { authorization: 'bearer  a.b.c ' } }, 'a.b.c'],
  ['another scheme', { headers: { authorization: 'Basic a.b.c' } }, undefined],
  ['scheme alone', { headers: { authorization: 'Bearer ' } }, undefined],
  ['query', { headers: {}, url: '/v1/sse?topics=a&access_token=a.b.c' }, 'a.b.c'],
  ['empty query parameter', { headers: {}, url: '/v1/sse?access_token=' }, undefined],
  ['cookie', { headers: { cookie: 'x=1; tidemark=a.b.c' } }, 'a.b.c'],
  ['quoted cookie', { headers: { cookie: 'tidemark="a.b.c"' } }, 'a.b.c'],
  ['cookie of another name', { headers: { cookie: 'nottidemark=a.b.c' } }, undefined],
  ['subprotocol', { headers: { 'sec-websocket-protocol': 'tidemark.v1, bearer.a.b.c' } }, 'a.b.c'],
  ['nowhere', { headers: {}, url: '/v1/sse' }, undefined],
  [
    'header and the rest: header wins',
    {
      headers: { authorization: 'Bearer h', cookie: 'tidemark=c' },
      url: '/?access_token=q',
    },
    'h',
  ],
  [
    'query and cookie: query wins',
    { headers: { cookie: 'tidemark=c' }, url: '/?access_token=q' },
    'q',
  ],
])('token: %s', (_, request, expected) => {
  expect(findToken(request, lookup)).toBe(expected);
});

test('token: no cookie name configured: cookies are not read', () => {
  expect(findToken({ headers: { cookie: '=a.b.c' } }, { cookieName: '' })).toBeUndefined();
});
