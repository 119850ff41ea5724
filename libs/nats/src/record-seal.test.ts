import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSeal, RecordSeal } from './record-seal.ts';

const SECRET = 'a secret that is long enough for every test of records';
const seal = new RecordSeal([SECRET]);
const NONE = { recordSecret: '', recordOldSecrets: '', tokenSecret: '', tokenOldSecrets: '' };

function open(by: RecordSeal, record: string, bucket = 'B', key = 'k'): string | undefined {
  return by.open(bucket, key, Buffer.from(record));
}

describe('sealed records', () => {
  test('own record: is opened, also with non-ASCII text and dots', () => {
    for (const text of ['{}', '', 'ä.b.c', '{"a":"\u2028"}']) {
      expect(open(seal, seal.seal('B', 'k', text))).toBe(text);
    }
  });

  test('of another bucket or key, changed or cut: is not opened', () => {
    const record = seal.seal('B', 'k', '{"lifted":true}');
    expect(open(seal, record, 'C')).toBeUndefined();
    expect(open(seal, record, 'B', 'l')).toBeUndefined();
    // The parts are told apart by their lengths.
    expect(open(seal, seal.seal('Bk', '', 'x'), 'B', 'k')).toBeUndefined();
    expect(open(seal, record.replace('true', 'TRUE'))).toBeUndefined();
    expect(open(seal, record.slice(0, -1))).toBeUndefined();
    expect(open(seal, `A${record}`)).toBeUndefined();
  });

  test('what is no record of a service: is not opened', () => {
    const ack = '{"stream":"TIDEMARK_EVENTS","seq":1}';
    const plainly = createHmac('sha256', SECRET).update(ack).digest('base64url');
    for (const record of ['', '.', ack, `${'A'.repeat(43)}.${ack}`, `${plainly}.${ack}`]) {
      expect(open(seal, record), record).toBeUndefined();
    }
  });

  test('secrets: the record secret seals; older ones and those of tokens still open', () => {
    const older = createSeal({ ...NONE, tokenSecret: SECRET });
    const newer = createSeal({ ...NONE, recordSecret: 'new', tokenSecret: SECRET });
    const rotated = createSeal({ ...NONE, recordSecret: 'newer', recordOldSecrets: 'x\nnew\n' });
    expect(open(newer, older.seal('B', 'k', 'x'))).toBe('x');
    expect(open(older, newer.seal('B', 'k', 'x'))).toBeUndefined();
    expect(open(rotated, newer.seal('B', 'k', 'x'))).toBe('x');
    expect(open(rotated, older.seal('B', 'k', 'x'))).toBeUndefined();
    expect(() => createSeal(NONE)).toThrow(/TIDEMARK_RECORD_SECRET/);
  });
});
