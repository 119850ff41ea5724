import { describe, expect, test } from 'vitest';
import { fromBinaryMode, fromLatin1 } from './binary-mode.ts';

const NO_BODY = new Uint8Array();

/** The subject of an event in binary mode with this header. */
function subjectOf(value: string | undefined): unknown {
  return fromBinaryMode([['CE-Subject', value]], undefined, NO_BODY).subject;
}

describe('binary mode, header values (HTTP binding, section 3.1.3.2)', () => {
  test.each([
    ['encoded', 'Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['small and capital digits', '%e2%82%aC', '€'],
    ['one round alone', '%2541', '%41'],
    ['a stray percent sign beside encoded text', '100% %41 %4', '100% A %4'],
    ['a percent sign before other text', '%zz%E2%82%AC', '%zz€'],
    ['a percent sign at the end', 'a%', 'a%'],
    ['a byte order mark', '%EF%BB%BFx', '\ufeffx'],
    ['as it is', 'Grüße €', 'Grüße €'],
    ['quoted', '"a \\"b\\" \\\\ %41"', 'a "b" \\ A'],
    ['two quoted parts, which is no quoted value', '"a" and "b"', '"a" and "b"'],
  ])('%s: decoded', (_, value, expected) => {
    expect(subjectOf(value)).toBe(expected);
  });

  test.each([
    ['an overlong slash', '%C0%AF'],
    ['an overlong NUL', 'a%C0%80'],
    ['half of a surrogate pair', '%ED%A0%80'],
    ['beyond Unicode', '%F4%90%80%80'],
    ['a sequence that is cut', '%E2%82'],
    ['Latin-1', 'caf%E9'],
    ['raw bytes that are not UTF-8', undefined],
  ])('%s: refused, with its name', (_, value) => {
    expect(() => subjectOf(value)).toThrow(
      expect.objectContaining({
        code: 'invalid_event',
        details: { faults: [{ path: 'subject', message: 'must be UTF-8' }] },
      }),
    );
  });

  test('characters of all of Unicode, each byte encoded: comes back', () => {
    const encode = (text: string) =>
      Array.from(new TextEncoder().encode(text), (byte) => {
        return `%${byte.toString(16).padStart(2, '0')}`;
      }).join('');
    const isSurrogate = (code: number) => code >= 0xd800 && code <= 0xdfff;
    for (let code = 0; code <= 0x10ffff; code += 97) {
      const text = String.fromCodePoint(isSurrogate(code) ? 0xffff : code);
      expect(subjectOf(encode(text))).toBe(text);
    }
  });

  test.each(['data', 'data_base64', 'datacontenttype', 'DataContentType'])(
    'ce-%s: refused, because the body and its type say it',
    (name) => {
      expect(() => fromBinaryMode([[`ce-${name}`, 'x']], 'text/plain', NO_BODY)).toThrow(
        expect.objectContaining({ code: 'invalid_event' }),
      );
    },
  );

  test('bytes that were read as Latin-1: UTF-8, or else Latin-1 letters, or nothing', () => {
    const latin1 = (bytes: string) => Buffer.from(bytes, 'hex').toString('latin1');
    expect(fromLatin1('plain')).toBe('plain');
    expect(fromLatin1(Buffer.from('\ufeffGrüße € 😀').toString('latin1'))).toBe('\ufeffGrüße € 😀');
    expect(fromLatin1(latin1('636166e9'))).toBe('café');
    for (const bytes of ['ff', 'fffe', 'c0af', 'eda080', 'e282', '80', 'e9c3a9']) {
      expect(fromLatin1(latin1(bytes))).toBeUndefined();
    }
  });
});

describe('binary mode, bodies', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const read = (type: string | undefined, body: string | Uint8Array) =>
    fromBinaryMode([], type, typeof body === 'string' ? Buffer.from(body) : body);

  test.each<[string, string, string | Uint8Array, object]>([
    ['JSON', 'application/json', '{"a":1}', { data: { a: 1 } }],
    ['JSON in capitals with parameters', 'Text/JSON; x=y; charset="UTF-8"', '1', { data: 1 }],
    ['JSON by its suffix', 'application/vnd.x+JSON;v=1', '"a"', { data: 'a' }],
    ['JSON with a byte order mark', 'application/json', '\ufeff[1]', { data: [1] }],
    ['JSON in another charset', 'application/json;charset=latin1', '"a"', { data_base64: 'ImEi' }],
    ['JSON that is not UTF-8', 'application/json', bytes(34, 255, 34), { data_base64: 'Iv8i' }],
    ['text', 'text/plain', 'grüße', { data: 'grüße' }],
    ['text in capitals', 'TEXT/HTML', '<p>', { data: '<p>' }],
    ['text with a byte order mark', 'text/csv', '\ufeffa,b', { data: '\ufeffa,b' }],
    ['text in ASCII', 'text/plain; charset=us-ascii', 'a', { data: 'a' }],
    ['text in Latin-1', 'text/plain; charset=ISO-8859-1', bytes(252), { data_base64: '/A==' }],
    ['text in UTF-16', 'text/plain; Charset="utf-16"', bytes(97, 0), { data_base64: 'YQA=' }],
    ['text that is not UTF-8', 'text/plain', bytes(252), { data_base64: '/A==' }],
    ['another type', 'application/xml', '<a/>', { data_base64: 'PGEvPg==' }],
  ])('%s', (_, type, body, expected) => {
    expect(read(type, body)).toEqual({ datacontenttype: type, ...expected });
  });

  test.each<[string, string | Uint8Array, object]>([
    ['JSON', ' {"a":1}', { data: { a: 1 } }],
    ['no JSON', 'plain', { data_base64: 'cGxhaW4=' }],
    ['not UTF-8', bytes(255), { data_base64: '/w==' }],
    ['nothing', '', {}],
  ])('no type, an empty one, body is %s', (_, body, expected) => {
    for (const type of [undefined, '', ' ']) expect(read(type, body)).toEqual(expected);
  });

  test('JSON by its type, and none: refused', () => {
    expect(() => read('application/json', '{')).toThrow(SyntaxError);
  });
});
