import type { HttpAnswer } from './http-connection.ts';

/** The address of a system's API to publish with, as a process that publishes is told it. */
export interface HttpTarget {
  readonly api: 'tidemark' | 'centrifugo' | 'socket.io';
  readonly host: string;
  readonly port: number;
  /** A bearer token, or Centrifugo's API key. */
  readonly secret: string;
  /** Of Centrifugo: the namespace of the channels. */
  readonly namespace?: string;
}

export interface TopicEvent {
  readonly topic: string;
  /** Its JSON, in ASCII. */
  readonly json: string;
}

/** @returns the text of a request that publishes one event, or several in their order */
export function encodeRequest(target: HttpTarget, events: readonly TopicEvent[]): string {
  const isSingle = events.length === 1;
  switch (target.api) {
    case 'tidemark': {
      const list = events.map(({ json }) => json).join(',');
      if (isSingle) return request(target, '/v1/events', 'application/cloudevents+json', list);
      return request(target, '/v1/events', 'application/cloudevents-batch+json', `[${list}]`);
    }
    case 'centrifugo': {
      const prefix = target.namespace ? `${target.namespace}:` : '';
      const publications = events.map(({ topic, json }) => {
        return `{"channel":"${prefix}${topic}","data":${json}}`;
      });
      if (isSingle) return request(target, '/api/publish', 'application/json', publications.join());
      const commands = publications.map((publication) => `{"publish":${publication}}`).join(',');
      return request(target, '/api/batch', 'application/json', `{"commands":[${commands}]}`);
    }
    case 'socket.io': {
      const list = events.map(({ topic, json }) => `{"topic":"${topic}","data":${json}}`);
      return request(target, '/emit', 'application/json', `[${list.join(',')}]`);
    }
  }
}

/**
 * @param events of the request
 * @returns why the answer is not that of a request which published everything
 */
export function faultIn(
  target: HttpTarget,
  { status, body }: HttpAnswer,
  events: number,
): string | undefined {
  const isTidemark = target.api === 'tidemark';
  const isPublished = isTidemark
    ? // Every event has its own cursor in the answer.
      status === 201 && countOf(body, '"cursor":"') === events
    : // Centrifugo answers 200 to a batch of which a command failed.
      status === 200 && !body.includes('"error"');
  return isPublished ? undefined : `${target.api} answered ${status} ${body.slice(0, 200)}`;
}

function countOf(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

function request(target: HttpTarget, path: string, type: string, body: string): string {
  const secret = {
    tidemark: `Authorization: Bearer ${target.secret}\r\n`,
    centrifugo: `X-API-Key: ${target.secret}\r\n`,
    'socket.io': '',
  }[target.api];
  return `POST ${path} HTTP/1.1\r\nHost: ${target.host}\r\n${secret}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}
