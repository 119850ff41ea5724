import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCsv } from './csv.ts';
import type { FileRecord } from './records.ts';

async function read(text: string, { convert = false, pieces = 1000 } = {}): Promise<FileRecord[]> {
  const bytes = Buffer.from(text);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += pieces) yield bytes.subarray(at, at + pieces);
  }
  const records: FileRecord[] = [];
  for await (const record of readCsv(chunks(), convert)) records.push(record);
  return records;
}

async function dataOf(text: string, convert = false): Promise<unknown[]> {
  const records = await read(text, { convert });
  return records.map((one) => ('json' in one ? JSON.parse(one.json) : one.fault));
}

test('csv: attributes, and all other columns as data', async () => {
  expect(await dataOf('topic,total,type\na.b,12,x\n')).toEqual([
    { topic: 'a.b', type: 'x', data: { total: '12' } },
  ]);
});

test('csv: a column data is all of the data, wherever it stands', async () => {
  expect(await dataOf('data,topic\n"{""a"": 1}",t\nnonsense,t\n')).toEqual([
    { topic: 't', data: { a: 1 } },
    'has data that is no JSON',
  ]);
});

test('csv --convert: numbers keep their digits, and what only looks like one stays a text', async () => {
  const [record] = await read('topic,a,b,c,d,e\nt,12345678901234567890,007,true,,1e5', {
    convert: true,
  });
  expect(record && 'json' in record && record.json).toBe(
    '{"topic":"t","data":{"a":12345678901234567890,"b":"007","c":true,"d":null,"e":1e5}}',
  );
});

test('csv: quotes, commas, line ends and quotes within quotes, cut into pieces of any size', async () => {
  const text = '\ufefftopic,a\r\n"t","x, ""y""\nz"\r\n\r\nt,"never';
  for (const pieces of [1, 2, 3, 7, 100]) {
    const records = await read(text, { pieces });
    expect(records).toEqual([
      { line: 2, json: '{"topic":"t","data":{"a":"x, \\"y\\"\\nz"}}' },
      { line: 5, fault: 'has a quote that is never closed' },
    ]);
  }
});

test.each(['a,,b\n1,2,3', 'a,a\n1,2', '"a\n1', 'data,other\n1,2'])(
  'csv %j: the first row cannot name the columns',
  async (text) => {
    await expect(read(text)).rejects.toThrow(/CSV/);
  },
);

test('csv: any fields that were written by the rules come back', async () => {
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'ä', '😀') });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(field, field), { maxLength: 5 }), async (rows) => {
      const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
      const text = ['topic,a,b', ...rows.map(([a, b]) => `t,${quote(a)},${quote(b)}`)].join('\n');
      const wanted = rows.map(([a, b]) => ({ topic: 't', data: { a, b } }));
      expect(await dataOf(`${text}\n`)).toEqual(wanted);
    }),
  );
});
