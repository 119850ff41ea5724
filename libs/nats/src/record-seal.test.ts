import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSeal, type OpenedRecord, RECORD_TOLERANCE_MS, RecordSeal } from './record-seal.ts';

const SECRET = 'a secret that is long enough for every test of records';
const NOW_MS = 1_764_000_000_000;
const seal = new RecordSeal([SECRET]);
const NONE = { recordSecret: '', recordOldSecrets: '', tokenSecret: '', tokenOldSecrets: '' };

function sealed(by: RecordSeal, text: string, { bucket = 'B', key = 'k' } = {}): string {
  return by.seal({ bucket, key }, text, NOW_MS);
}

function openAt(storedMs: number, record: string, more = {}): OpenedRecord {
  return seal.open({ bucket: 'B', key: 'k' }, { payload: Buffer.from(record), storedMs, ...more });
}

function open(by: RecordSeal, record: string, bucket = 'B', key = 'k'): string | undefined {
  return by.open({ bucket, key }, { payload: Buffer.from(record), storedMs: NOW_MS }).text;
}

/** A record as a version before wrote it. */
function untimed(text: string): string {
  const key = createHmac('sha256', SECRET).update('tidemark stored records, version 1').digest();
  const mac = createHmac('sha256', key);
  for (const part of ['B', 'k', text]) mac.update(`${Buffer.byteLength(part)}:${part}`);
  return `${mac.digest('base64url')}.${text}`;
}

describe('sealed records', () => {
  test('own record: is opened, also with non-ASCII text and dots', () => {
    for (const text of ['{}', '', 'ä.b.c', '{"a":"\u2028\n"}', '1.2']) {
      expect(open(seal, sealed(seal, text))).toBe(text);
    }
  });

  test('of another bucket or key, changed or cut: is not opened', () => {
    const record = sealed(seal, '{"lifted":true}');
    expect(open(seal, record, 'C')).toBeUndefined();
    expect(open(seal, record, 'B', 'l')).toBeUndefined();
    // The parts are told apart by their lengths.
    const shifted = sealed(seal, 'x', { bucket: 'Bk', key: '' });
    expect(open(seal, shifted, 'B', 'k')).toBeUndefined();
    expect(open(seal, record.replace('true', 'TRUE'))).toBeUndefined();
    expect(open(seal, record.slice(0, -1))).toBeUndefined();
    expect(open(seal, `A${record}`)).toBeUndefined();
    expect(open(seal, record.replace(String(NOW_MS), String(NOW_MS + 1)))).toBeUndefined();
  });

  test('stored at another time than it was sealed at: is opened within a minute, and not later or earlier', () => {
    const record = sealed(seal, 'x');
    for (const sign of [-1, 1]) {
      const lastMs = NOW_MS + sign * RECORD_TOLERANCE_MS;
      expect(openAt(lastMs, record)).toEqual({ text: 'x' });
      expect(openAt(lastMs + sign, record).fault).toMatch(/sealed 60001 ms/);
    }
  });

  test('of a version before, without a time: is opened where it was stored before all have one', () => {
    const record = untimed('{"lifted":true}');
    expect(openAt(NOW_MS, record).fault).toMatch(/no time/);
    expect(openAt(NOW_MS, record, { untimedUntilMs: NOW_MS })).toEqual({ text: '{"lifted":true}' });
    expect(openAt(NOW_MS + 1, record, { untimedUntilMs: NOW_MS }).fault).toMatch(/no time/);
    // Nobody adds a time, or takes one away.
    expect(openAt(NOW_MS, record.replace('.', `.${NOW_MS}.`)).fault).toMatch(/wrong/);
    const stripped = sealed(seal, '{}').replace(`.${NOW_MS}.`, '.');
    expect(openAt(NOW_MS, stripped, { untimedUntilMs: NOW_MS }).fault).toMatch(/wrong/);
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
    expect(open(newer, sealed(older, 'x'))).toBe('x');
    expect(open(older, sealed(newer, 'x'))).toBeUndefined();
    expect(open(rotated, sealed(newer, 'x'))).toBe('x');
    expect(open(rotated, sealed(older, 'x'))).toBeUndefined();
    expect(() => createSeal(NONE)).toThrow(/TIDEMARK_RECORD_SECRET/);
  });
});
