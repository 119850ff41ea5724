import { createHash, createHmac } from 'node:crypto';
import type { CloudEvent } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newSealMetadata, SEAL_HEADER, StreamSeal, sealMetadata } from './seal.ts';

const SINCE_MS = 1000;
const METADATA = newSealMetadata(SINCE_MS);
const MESSAGE = { subject: 'tidemark.events.a', payload: Buffer.from('{}'), timeMs: 2000 };

function sealOf(metadata = METADATA): StreamSeal {
  const seal = new StreamSeal();
  seal.learn(metadata);
  return seal;
}

function withSeal(value: string | undefined, message = MESSAGE) {
  return { ...message, headers: new Map(value === undefined ? [] : [[SEAL_HEADER, value]]) };
}

function event(parts: Partial<CloudEvent>): CloudEvent {
  return { specversion: '1.0', id: '1', source: '/s', type: 't', topic: 'a', ...parts };
}

describe('seal', () => {
  test('any message: the HMAC of Node, whatever was sealed before', () => {
    const seal = sealOf();
    const [, key = ''] = /^([^.]+)/.exec(METADATA.tidemark_seal ?? '') ?? [];
    const secret = Buffer.from(key, 'base64url');
    const derived = createHash('sha256').update(secret).update('seal').digest();
    fc.assert(
      fc.property(
        fc.string(),
        fc.uint8Array({ maxLength: 20_000, size: 'max' }),
        (topic, bytes) => {
          const subject = topic.replaceAll('\n', '');
          const hmac = createHmac('sha256', derived).update(`${subject}\n`).update(bytes);
          expect(seal.sign({ subject, payload: bytes })).toBe(
            hmac.digest('base64url').slice(0, 22),
          );
        },
      ),
    );
  });

  test('a message of this key: sealed; changed in subject or bytes, or with another seal: not', () => {
    const seal = sealOf();
    const value = seal.sign(MESSAGE);
    expect(seal.trustOf(withSeal(value))).toBe('sealed');
    const others = [
      withSeal(undefined),
      withSeal(''),
      withSeal(`${value}A`),
      withSeal(sealOf(newSealMetadata(SINCE_MS)).sign(MESSAGE)),
      withSeal(value, { ...MESSAGE, subject: 'tidemark.events.b' }),
      withSeal(value, { ...MESSAGE, payload: Buffer.from('[]') }),
      withSeal(seal.messageId(event({}))),
    ];
    for (const other of others) expect(seal.trustOf(other)).toBe('none');
  });

  test('a message from before the key: earlier; the same later: not', () => {
    const seal = sealOf();
    expect(seal.trustOf(withSeal(undefined, { ...MESSAGE, timeMs: SINCE_MS }))).toBe('earlier');
    expect(seal.trustOf(withSeal(undefined, { ...MESSAGE, timeMs: SINCE_MS + 1 }))).toBe('none');
  });

  test('stream that nothing is known of, without a key, with one: none, earlier, none', () => {
    const seal = new StreamSeal();
    expect(seal.trustOf(withSeal(undefined))).toBe('none');
    seal.learn({});
    expect(seal.known).toBe(false);
    expect(seal.trustOf(withSeal(undefined))).toBe('earlier');
    seal.learn(METADATA);
    expect(seal.known).toBe(true);
    expect(seal.trustOf(withSeal(undefined))).toBe('none');
    seal.learn({});
    expect(seal.trustOf(withSeal(seal.sign(MESSAGE)))).toBe('sealed');
  });

  test('copy of the stream: seals as the original does', () => {
    const copy = sealOf(sealMetadata({ ...METADATA, more: 'x' }));
    expect(copy.sign(MESSAGE)).toBe(sealOf().sign(MESSAGE));
  });
});

describe('message id', () => {
  const text = fc.string({ unit: fc.constantFrom('a', ' ', '"', ',', '\\', '/', '\u00a0', 'é') });
  const parts = fc.record({ publisher: text, topic: text, source: text, id: text });

  test('two events: the same id only when publisher, topic, source and id are the same', () => {
    const seal = sealOf();
    fc.assert(
      fc.property(parts, parts, (left, right) => {
        const isSame = JSON.stringify(left) === JSON.stringify(right);
        expect(seal.messageId(event(left)) === seal.messageId(event(right))).toBe(isSame);
      }),
    );
  });

  test('ids that differ in white space at the end, texts that move between the parts: different', () => {
    const seal = sealOf();
    const events = [
      event({ id: 'a' }),
      event({ id: 'a ' }),
      event({ id: 'a\u00a0' }),
      event({ source: '/s/b', id: 'c' }),
      event({ source: '/s', id: '/bc' }),
      event({ publisher: 'a', topic: 'b' }),
      event({ publisher: 'b', topic: 'a' }),
    ];
    const ids = events.map((one) => seal.messageId(one));
    expect(new Set(ids).size).toBe(events.length);
    for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/);
  });

  test('another key: another id, so that nobody without it can use an id first', () => {
    const other = sealOf(newSealMetadata(SINCE_MS));
    expect(other.messageId(event({}))).not.toBe(sealOf().messageId(event({})));
  });
});
