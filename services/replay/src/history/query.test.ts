import { asTidemarkError, TidemarkError } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { parseHistoryQuery, parseTopicsQuery, withParameter } from './query.ts';

const LIMIT_MAX = 1000;

function refusal(
  raw: Record<string, unknown>,
  parse: typeof parseTopicsQuery | typeof parseHistoryQuery,
) {
  try {
    parse(raw, LIMIT_MAX);
  } catch (error) {
    if (error instanceof TidemarkError) return { code: error.code, message: error.message };
    throw error;
  }
  return undefined;
}

describe('history query', () => {
  test('query: nothing given: everything from the beginning', () => {
    expect(parseHistoryQuery({}, LIMIT_MAX)).toEqual({
      criteria: { patterns: ['>'] },
      order: 'asc',
    });
  });

  test('query: everything given: parsed', () => {
    const query = parseHistoryQuery(
      {
        topics: 'orders.*, user.7',
        after: 'latest',
        before: 'e1-7',
        from: '2026-01-31T12:00:00Z',
        to: '2026-01-31T13:00:00+01:00',
        type: 'a, b.*',
        source: '/shop?x=1,2',
        id: 'a,b',
        limit: '5',
        order: 'desc',
        access_token: 'secret',
      },
      LIMIT_MAX,
    );
    expect(query).toEqual({
      criteria: { patterns: ['orders.*', 'user.7'], types: ['a', 'b.*'], source: '/shop?x=1,2' },
      id: 'a,b',
      order: 'desc',
      after: { kind: 'latest' },
      before: { epoch: 'e1', sequence: 7 },
      fromMs: Date.UTC(2026, 0, 31, 12),
      toMs: Date.UTC(2026, 0, 31, 12),
      limit: 5,
    });
  });

  test.each([
    [{ tpoics: 'a' }, 'invalid_query', 'did you mean topics?'],
    [{ xyz: 'a' }, 'invalid_query', 'no query parameter "xyz"'],
    [{ __proto__x: 'a' }, 'invalid_query', 'no query parameter'],
    [{ topics: ['a', 'b'] }, 'invalid_query', 'topics must be given once'],
    [{ topics: '' }, 'invalid_query', 'topics must not be empty'],
    [{ id: '7' }, 'invalid_query', 'source must be given with id'],
    [
      { id: '7', source: '/a', after: 'last' },
      'invalid_query',
      'id must be absent with after=last',
    ],
    [{ topics: 'a..b' }, 'invalid_pattern', 'is not a pattern'],
    [{ topics: 'a,' }, 'invalid_pattern', 'is not a pattern'],
    [{ topics: Array(101).fill('a').join() }, 'invalid_pattern', 'more than the 100'],
    [{ after: 'yesterday' }, 'invalid_cursor', 'is not a cursor'],
    [{ after: 'e1--1' }, 'invalid_cursor', 'is not a cursor'],
    [{ after: 'e1-99999999999999999999' }, 'invalid_cursor', 'is not a cursor'],
    [{ after: '2026-02-30T00:00' }, 'invalid_time', 'not an RFC 3339 time'],
    [{ before: 'earliest' }, 'invalid_cursor', 'is not a cursor'],
    [{ from: 'e1-1' }, 'invalid_time', 'not an RFC 3339 time'],
    [{ to: '1700000000' }, 'invalid_time', 'not an RFC 3339 time'],
    [{ types: 'a' }, 'invalid_query', 'did you mean type?'],
    [{ type: 'a,,b' }, 'invalid_query', 'type must have no empty type'],
    [{ type: 'a*b' }, 'invalid_query', 'type may have * only at the end'],
    [{ type: Array(101).fill('a').join() }, 'invalid_query', 'type must have 1 to 100'],
    [{ type: 'a'.repeat(8193) }, 'invalid_query', 'type must have at most 8192 bytes'],
    [{ limit: '0' }, 'invalid_query', 'from 1 to 1000'],
    [{ limit: '1001' }, 'invalid_query', 'from 1 to 1000'],
    [{ limit: '1e2' }, 'invalid_query', 'from 1 to 1000'],
    [{ limit: '-1' }, 'invalid_query', 'from 1 to 1000'],
    [{ order: 'ASC' }, 'invalid_query', 'asc or desc'],
  ])('query: %j: refused as %s', (raw, code, message) => {
    expect(refusal(raw, parseHistoryQuery)).toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test.each([
    [{ type: 'a' }, 'invalid_query'],
    [{ after: 'a.*' }, 'invalid_topic'],
    [{ topics: '>.a' }, 'invalid_pattern'],
    [{ limit: 'ten' }, 'invalid_query'],
  ])('topics query: %j: refused as %s', (raw, code) => {
    expect(refusal(raw, parseTopicsQuery)).toMatchObject({ code });
  });

  test('link: to the next page: keeps the query and leaves the token out', () => {
    const raw = { topics: 'a.*', after: 'e1-1', access_token: 'secret' };
    expect(withParameter(raw, 'after', 'e1-9')).toBe('topics=a.*&after=e1-9');
  });
});

test('very many unknown parameters with long names: some of them are named, shortened, in little time', () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `${n}${'x'.repeat(60)}`);
  const many = Object.fromEntries([...names, 'x'.repeat(60_000)].map((name) => [name, '1']));
  const attempt = () => {
    const before = process.cpuUsage();
    try {
      parseTopicsQuery(many, LIMIT_MAX);
    } catch (error) {
      const { user, system } = process.cpuUsage(before);
      return { ms: (user + system) / 1000, body: asTidemarkError(error).toBody() };
    }
    throw new Error('It was accepted.');
  };
  const attempts = Array.from({ length: 10 }, attempt);
  expect(Math.min(...attempts.map(({ ms }) => ms))).toBeLessThan(2);
  const [{ body } = attempt()] = attempts;
  expect(body.faults).toHaveLength(20);
  expect(JSON.stringify(body).length).toBeLessThan(3_000);
});
