import { headers, MsgHdrsImpl } from '@nats-io/transport-node';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeaderBlock } from './header-block.ts';

const name = fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,20}$/);
const value = fc.stringMatching(/^[\t -~]{0,60}$/);

test('any headers: the bytes that the headers of the NATS client have', () => {
  const block = new HeaderBlock();
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key }), (pairs) => {
      fc.pre(pairs.length > 0);
      const expected = headers();
      block.begin();
      for (const [key, text] of pairs) {
        expected.set(key, text);
        block.add(key, text);
      }
      expect(Buffer.from(block.encode())).toEqual(Buffer.from((expected as MsgHdrsImpl).encode()));
    }),
  );
});

test('a value that would end its header: refused, as by the NATS client', () => {
  for (const text of ['a\r\nNats-Msg-Id: b', 'a\n', '\r']) {
    expect(() => new HeaderBlock().add('tracestate', text)).toThrow('line end');
    expect(() => new MsgHdrsImpl().set('tracestate', text)).toThrow();
  }
});
