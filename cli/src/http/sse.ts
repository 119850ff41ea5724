/** A block of an SSE stream. */
export interface Block {
  readonly event: string;
  readonly data: string;
}

/** Longest block in characters; a service of Tidemark sends shorter ones. */
const BLOCK_LENGTH_MAX = 1024 * 1024;

/** Reads the blocks of an SSE stream until it ends. @throws what ended the stream early */
export async function* readBlocks(response: Response): AsyncGenerator<Block> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body ?? []) {
    rest = (rest + decoder.decode(chunk, { stream: true })).replace(/\r\n?/g, '\n');
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      yield parseBlock(rest.slice(0, end));
      rest = rest.slice(end + 2);
    }
    if (rest.length > BLOCK_LENGTH_MAX) throw new Error('The stream has a block without an end.');
  }
}

function parseBlock(text: string): Block {
  let event = 'message';
  const data: string[] = [];
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === 'event') event = value;
    else if (name === 'data') data.push(value);
  }
  return { event, data: data.join('\n') };
}
