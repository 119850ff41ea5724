import { describe, expect, test } from 'vitest';
import { type OutboxRow, ROW_BYTES_MAX, RowError, toEventText } from './row.ts';

const ROW: OutboxRow = {
  position: '1',
  topic: 'orders.42',
  type: 'order.paid',
  source: '/shop',
  id: 'one',
  time: '2026-01-02T03:04:05.000000Z',
  data: null,
  attributes: null,
  bytes: 100,
};

describe('event of a row', () => {
  test('row: without data and attributes: has the columns alone', () => {
    const { topic, type, source, id, time } = ROW;
    expect(JSON.parse(toEventText(ROW))).toEqual({
      specversion: '1.0',
      topic,
      type,
      source,
      id,
      time,
    });
  });

  test('row: data: is there as it was written', () => {
    const data = '{"n": 12345678901234567890, "half": 1.10}';
    expect(toEventText({ ...ROW, data })).toContain(`,"data":${data}}`);
  });

  test('row: an attribute with the name of a column: loses against the column', () => {
    const attributes = '{"id":"other","specversion":"0.3","subject":"x"}';
    expect(JSON.parse(toEventText({ ...ROW, attributes }))).toMatchObject({
      id: 'one',
      specversion: '1.0',
      subject: 'x',
    });
  });

  test.each([
    ['data that closes the event and opens another', { data: '1},{"specversion":"1.0"' }],
    ['data that is cut', { data: '{"a":' }],
    ['attributes that are a list', { attributes: '[]' }],
    ['attributes that are null', { attributes: 'null' }],
    ['attributes that are no JSON', { attributes: '{' }],
    ['attributes with data', { attributes: '{"data":1}' }],
    ['more bytes than an event may have', { bytes: ROW_BYTES_MAX + 1 }],
  ])('row: %s: is refused', (_, part) => {
    expect(() => toEventText({ ...ROW, ...part })).toThrow(RowError);
  });
});
