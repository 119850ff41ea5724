import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { TidemarkError } from '@tidemark/protocol';

const inflate = promisify(gunzip);

/**
 * Reads a whole body, which may be compressed with gzip. It may have `bytesMax` bytes, compressed and
 * inflated. A larger body is refused as soon as its size is known. Node then discards the rest within
 * the request timeout, so that the client reads the answer instead of a reset connection.
 * `express.raw` would answer only after the whole body has arrived.
 *
 * @throws TidemarkError `too_large`, `unsupported_media_type` or `invalid_query`
 */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip') {
    throw new TidemarkError('unsupported_media_type', 'Content-Encoding may be gzip or absent.');
  }
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const body = await collect(request, bytesMax);
  return encoding === 'gzip' && body.length > 0 ? unpack(body, bytesMax) : body;
}

/**
 * Reads a body as JSON.
 *
 * @throws TidemarkError like `readBody`, or `invalid_json`
 */
export async function readJson(request: IncomingMessage, bytesMax: number): Promise<unknown> {
  const body = await readBody(request, bytesMax);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new TidemarkError('invalid_json', 'The body is not JSON.', { cause });
  }
}

function collect(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (error?: TidemarkError) => {
      request.off('data', onChunk).off('end', finish).off('error', onBreak).off('close', onBreak);
      if (error === undefined) resolve(Buffer.concat(chunks, bytes));
      else reject(error);
    };
    const onChunk = (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= bytesMax) return;
      finish(tooLarge(bytesMax));
      request.resume();
    };
    const onBreak = () => finish(new TidemarkError('invalid_query', 'The body ended too early.'));
    request.on('data', onChunk).on('end', finish).on('error', onBreak).on('close', onBreak);
  });
}

async function unpack(body: Buffer, bytesMax: number): Promise<Buffer> {
  try {
    return await inflate(body, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw new TidemarkError('invalid_query', 'The body is not in gzip format.', { cause });
  }
}

function tooLarge(bytesMax: number): TidemarkError {
  return new TidemarkError('too_large', `The body may have at most ${bytesMax} bytes.`, {
    limit: 'request_bytes',
  });
}
