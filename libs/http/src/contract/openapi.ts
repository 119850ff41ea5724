import {
  ERROR_CODES,
  type ErrorCode,
  errorShape,
  HIDDEN_JSON,
  type JsonSchema,
  jsonOf,
} from '@tidemark/protocol';
import type { z } from 'zod';
import { type Answer, type Credential, type Description, POSTPONED } from './description.ts';
import { JsonSchemas } from './json-schema.ts';

/** A method of a path with what it takes and answers. */
export interface DescribedOperation {
  /** With a colon before what varies, such as `/v1/events/:cursor`. */
  readonly path: string;
  /** In capitals. */
  readonly method: string;
  readonly description: Description;
  /** What a request may be identified by; empty for what anybody may ask. */
  readonly credentials: readonly Credential[];
  /** Whether `POSTPONED` errors are told within an answer of 200. */
  readonly postpones: boolean;
}

/** What a document says of its service. */
export interface ServiceInfo {
  readonly title: string;
  readonly version: string;
  /** In Markdown. */
  readonly description: string;
}

/** What is answered to any request, whatever it is for: by the server, for its host or origin, or for a fault. */
const OF_ALL: readonly ErrorCode[] = ['invalid_query', 'forbidden', 'internal'];

/** What a request with credentials may get besides. */
const WITH_CREDENTIALS: readonly ErrorCode[] = [
  'unauthenticated',
  'token_expired',
  'limit_exceeded',
  'unavailable',
];

/** The answers of the server to requests that it cannot read, which have the code `invalid_query`. */
const UNREADABLE: Readonly<Record<number, string>> = {
  408: 'The request took too long to arrive.',
  431: 'The request line and the headers are too large.',
};

const SCHEMES = {
  token: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'A token (PROTOCOL.md section 8.1). A cookie takes its place where one is configured.',
  },
  tokenInQuery: {
    type: 'apiKey',
    in: 'query',
    name: 'access_token',
    description: 'The same token, for clients that can send only a URL.',
  },
  ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'A ticket of `POST /v1/tickets`, which stands for a token once.',
  },
};

const SECURITY: Readonly<Record<Credential, readonly (keyof typeof SCHEMES)[]>> = {
  token: ['token', 'tokenInQuery'],
  ticket: ['ticket'],
};

const RETRY_AFTER = { description: 'Seconds.', schema: { type: 'integer', minimum: 0 } };

/**
 * Builds the OpenAPI 3.1 document of a service.
 *
 * @throws Error where a description does not fit its path: a mistake in the code, which so ends the start
 */
export function openApiDocument(
  info: ServiceInfo,
  operations: readonly DescribedOperation[],
): object {
  const schemas = new JsonSchemas();
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = {
      ...paths[path],
      [operation.method.toLowerCase()]: toOperation(operation, schemas),
    };
  }
  return {
    openapi: '3.1.1',
    info: { ...info, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/', description: 'Where this document is served.' }],
    paths,
    components: { schemas: schemas.components, securitySchemes: schemesOf(operations) },
  };
}

/** Those that some operation takes. */
function schemesOf(operations: readonly DescribedOperation[]): object {
  const used = new Set(operations.flatMap(({ credentials }) => credentials));
  const names = [...used].flatMap((one) => SECURITY[one]);
  return Object.fromEntries(names.map((name) => [name, SCHEMES[name]]));
}

function toOperation(described: DescribedOperation, schemas: JsonSchemas): object {
  const { method, path, description, credentials } = described;
  const { summary, details, body, answers } = description;
  return {
    operationId: operationId(method, path),
    summary,
    ...(details !== undefined && { description: details }),
    security: credentials.flatMap((one) => SECURITY[one].map((scheme) => ({ [scheme]: [] }))),
    parameters: parametersOf(described, schemas),
    ...(body && { requestBody: { required: true, content: contentOf(body, schemas) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, toAnswer(answer, schemas)]),
      ),
      ...errorAnswers(described, schemas),
    },
  };
}

/** Such as `getEventsCursor` of `GET /v1/events/:cursor`. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'v1');
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return `${method.toLowerCase()}${name}`;
}

function parametersOf({ path, description }: DescribedOperation, schemas: JsonSchemas): object[] {
  const { path: inPath, query, headers } = description;
  const wanted = Array.from(path.matchAll(/:(\w+)/g), ([, name = '']) => name);
  const given = Object.keys(inPath?.shape ?? {});
  if (wanted.join() !== given.join()) {
    throw new Error(
      `The parameters of ${path} are ${wanted.join()}, and ${given.join()} is described.`,
    );
  }
  return [
    ...toParameters('path', inPath, schemas),
    ...toParameters('query', query, schemas),
    ...toParameters('header', headers, schemas),
  ];
}

function toParameters(
  place: string,
  shape: z.ZodObject | undefined,
  schemas: JsonSchemas,
): object[] {
  return Object.entries(shape?.shape ?? {}).flatMap(([name, schema]) => {
    // One of the credentials, which every operation has.
    if (jsonOf(schema as z.ZodType) === HIDDEN_JSON) return [];
    const required = !(schema as z.ZodType).safeParse(undefined).success;
    const { description, ...json } = schemas.of(schema as z.ZodType);
    return {
      name,
      in: place,
      required,
      ...(description !== undefined && { description }),
      ...(json.type === 'array' && { style: 'form', explode: false }),
      schema: json,
    };
  });
}

function contentOf(content: Readonly<Record<string, z.ZodType>>, schemas: JsonSchemas): object {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [type, { schema: schemas.of(schema) }]),
  );
}

function toAnswer({ means, content, headers }: Answer, schemas: JsonSchemas): object {
  return {
    description: means,
    ...(headers && { headers: headersOf(headers, schemas) }),
    ...(content && { content: contentOf(content, schemas) }),
  };
}

function headersOf({ shape }: z.ZodObject, schemas: JsonSchemas): object {
  return Object.fromEntries(
    Object.entries(shape).map(([name, schema]) => {
      const required = !(schema as z.ZodType).safeParse(undefined).success;
      return [name, { required, schema: schemas.of(schema as z.ZodType) }];
    }),
  );
}

function errorAnswers(
  { description, credentials, postpones }: DescribedOperation,
  schemas: JsonSchemas,
): object {
  const { errors = [] } = description;
  const codes = new Set([
    ...OF_ALL,
    ...(credentials.length > 0 ? WITH_CREDENTIALS : []),
    ...errors,
  ]);
  const byStatus = new Map<string, ErrorCode[]>();
  for (const code of codes) {
    if (postpones && POSTPONED.has(code)) continue;
    const status = String(ERROR_CODES[code].status);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const body = (some: readonly ErrorCode[]): JsonSchema => ({
    ...schemas.of(errorShape),
    properties: { code: { enum: [...some].sort() } },
  });
  const answers = [...byStatus].map(([status, some]) => {
    const means = some.map((code) => `\`${code}\`: ${ERROR_CODES[code].meaning}`).join(' ');
    return [status, toErrorAnswer(status, means, body(some))] as const;
  });
  const unreadable = Object.entries(UNREADABLE).map(([status, means]) => {
    return [status, toErrorAnswer(status, means, body(['invalid_query']))] as const;
  });
  return Object.fromEntries([...answers, ...unreadable]);
}

function toErrorAnswer(status: string, description: string, schema: JsonSchema): object {
  const headers = {
    ...(['429', '503'].includes(status) && { 'Retry-After': { required: true, ...RETRY_AFTER } }),
    ...(status === '401' && {
      'WWW-Authenticate': { required: true, schema: { type: 'string' } },
    }),
  };
  return { description, headers, content: { 'application/json': { schema } } };
}
