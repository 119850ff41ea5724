import type { ServerResponse } from 'node:http';

/**
 * Answers JSON. `response.json` of Express looks for an ETag, a charset and what the client has already, for which an
 * answer to a POST has no use.
 *
 * @param json the text
 */
export function answerJson(response: ServerResponse, status: number, json: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.setHeader('Content-Length', Buffer.byteLength(json));
  response.end(json);
}
