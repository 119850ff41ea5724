import type { ServerResponse } from 'node:http';

/** What every answer has: nobody guesses its type, and nobody keeps it. */
const STEADY_HEADERS = { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' };
/** The same as `writeHead` takes them: name, value, name, value. */
const STEADY_LIST: readonly string[] = Object.entries(STEADY_HEADERS).flat();

/** Sets the headers that every answer has. */
export function setSteadyHeaders(response: ServerResponse): void {
  for (const [name, value] of Object.entries(STEADY_HEADERS)) response.setHeader(name, value);
}

/**
 * Answers JSON, with the headers that every answer has. `response.json` of Express looks for an ETag, a charset and what
 * the client has already, for which an answer to a POST has no use. All headers are given at once, because Node looks at
 * each that is set before.
 *
 * @param json the text
 * @param headers further ones: name, value, name, value
 */
export function answerJson(
  response: ServerResponse,
  status: number,
  json: string,
  headers: readonly string[] = [],
): void {
  response.writeHead(status, [
    ...STEADY_LIST,
    ...headers,
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(json)),
  ]);
  response.end(json);
}

/**
 * Answers without a body, with the headers that every answer has.
 *
 * @param headers further ones: name, value, name, value
 */
export function answerEmpty(
  response: ServerResponse,
  status: number,
  headers: readonly string[] = [],
): void {
  response.writeHead(status, [...STEADY_LIST, ...headers]).end();
}
