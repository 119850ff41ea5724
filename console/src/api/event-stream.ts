import { type CallOptions, open } from './request.ts';

/** A longer line is none of ours. */
const LINE_MAX = 4 << 20;

/** One block of an SSE answer. */
export interface Block {
  /** `message` where the block has no `event`. */
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/**
 * Reads an SSE answer block by block, by `fetch`, because `EventSource` cannot send the token in a header. Ends when the
 * service ends it.
 *
 * @throws {ApiError} for an answer other than 2xx
 */
export async function* eventStream(path: string, options: CallOptions): AsyncGenerator<Block> {
  const headers = { accept: 'text/event-stream', ...options.headers };
  const response = await open('GET', path, { ...options, headers });
  if (!response.body) return;
  let block = emptyBlock();
  for await (const line of lines(response.body)) {
    if (line === '') {
      if (block.data.length > 0) yield finish(block);
      block = emptyBlock();
    } else takeLine(block, line);
  }
}

interface OpenBlock {
  event: string;
  data: string[];
  id: string | undefined;
}

function emptyBlock(): OpenBlock {
  return { event: 'message', data: [], id: undefined };
}

function finish({ event, data, id }: OpenBlock): Block {
  return { event, data: data.join('\n'), id };
}

function takeLine(block: OpenBlock, line: string): void {
  const colon = line.indexOf(':');
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (field === 'event') block.event = value;
  else if (field === 'data') block.data.push(value);
  else if (field === 'id') block.id = value;
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const found = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = found.pop() ?? '';
      if (rest.length > LINE_MAX) throw new Error('A line is too long.');
      for (const line of found) yield line.replace(/\r$/, '');
    }
  } finally {
    // The connection is of no use once nobody reads it.
    reader.cancel().catch(() => undefined);
  }
}
