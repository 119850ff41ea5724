import { ERROR_CODES } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Description } from './description.ts';
import { type DescribedOperation, openApiDocument } from './openapi.ts';

const INFO = { title: 'Test', version: '1', description: '' };

const described: Description = {
  summary: 'For a test',
  path: z.object({ name: z.string() }),
  query: z.object({ topics: z.array(z.string()).optional() }),
  answers: { 200: { means: 'It works.' } },
  errors: ['not_found'],
};

function documentOf(change: Partial<DescribedOperation>) {
  const operation = { path: '/v1/a/:name', method: 'GET', description: described };
  // biome-ignore lint/suspicious/noExplicitAny: A document is compared and not typed.
  const document: any = openApiDocument(INFO, [
    { ...operation, credentials: ['token'], postpones: false, ...change },
  ]);
  return document.paths['/v1/a/{name}'].get;
}

test('errors: those of all requests, of the credentials and of the operation, by status', () => {
  const { responses, security } = documentOf({});
  const statuses = ['200', '400', '401', '403', '404', '408', '429', '431', '500', '503'];
  expect(Object.keys(responses).sort()).toEqual(statuses);
  const { schema } = responses[401].content['application/json'];
  expect(schema).toEqual({
    $ref: '#/components/schemas/Error',
    properties: { code: { enum: ['token_expired', 'unauthenticated'] } },
  });
  expect(responses[404].description).toContain(ERROR_CODES.not_found.meaning);
  expect(security).toEqual([{ token: [] }, { tokenInQuery: [] }]);
});

test('errors without credentials, and those told within an answer of 200: are left out', () => {
  const open = documentOf({ credentials: [] });
  expect(Object.keys(open.responses)).not.toContain('401');
  expect(open.security).toEqual([]);
  expect(Object.keys(documentOf({ postpones: true }).responses)).not.toContain('503');
});

test('parameters: of the path required, lists with commas', () => {
  expect(documentOf({}).parameters).toMatchObject([
    { name: 'name', in: 'path', required: true },
    { name: 'topics', in: 'query', required: false, style: 'form', explode: false },
  ]);
});

test('a description without a parameter of its path: ends the start', () => {
  const { path, ...without } = described;
  expect(() => documentOf({ description: without })).toThrow('name');
});
