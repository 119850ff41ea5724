import { expect, test } from 'vitest';
import { contextInHeaders, isSampled, readTraceContext, withContext } from './trace-context.ts';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const other = '00-11111111111111111111111111111111-2222222222222222-01';

test.each([
  ['well-formed', traceparent, true],
  ['of a later version, with more', `01${traceparent.slice(2)}-more`, true],
  ['a trace id of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, false],
  ['the version ff', `ff${traceparent.slice(2)}`, false],
  ['upper case', traceparent.toUpperCase(), false],
  ['nothing', '', false],
  ['no text', 7, false],
])('traceparent: %s: is read as section 3.2 says', (_, text, isOne) => {
  expect(readTraceContext({ traceparent: text })?.traceparent).toBe(isOne ? text : undefined);
});

test.each([
  ['of two systems', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', true],
  ['as long as may be', `a=${'b'.repeat(510)}`, true],
  ['longer', `a=${'b'.repeat(511)}`, false],
  ['of two lines', 'a=1\r\nb=2', false],
  ['no list', 'rubbish', false],
  ['empty', '', false],
])('tracestate: %s: is passed on as it came, or not at all', (_, tracestate, isPassedOn) => {
  const expected = isPassedOn ? { traceparent, tracestate } : { traceparent };
  expect(readTraceContext({ traceparent, tracestate })).toEqual(expected);
});

test('tracestate: without a traceparent: is no context', () => {
  expect(readTraceContext({ tracestate: 'a=1' })).toBeUndefined();
  expect(contextInHeaders(new Map([['tracestate', 'a=1']]))).toBeUndefined();
});

test('flags: only the sampled bit counts', () => {
  expect(isSampled(traceparent)).toBe(true);
  expect(isSampled(`${traceparent.slice(0, -2)}03`)).toBe(true);
  expect(isSampled(`${traceparent.slice(0, -2)}02`)).toBe(false);
  expect(isSampled('')).toBe(false);
});

test('withContext: an event with none of its own, with one: gets it, keeps its own', () => {
  const context = { traceparent, tracestate: 'a=1' };
  expect(withContext({ id: '1' }, context)).toEqual({ id: '1', ...context });
  expect(withContext({ traceparent: null, tracestate: 'b=2' }, { traceparent })).toEqual({
    traceparent,
  });
  expect(withContext({ traceparent: other }, context)).toEqual({ traceparent: other });
  expect(withContext({ id: '1' }, undefined)).toEqual({ id: '1' });
});
