import type { IncomingMessage } from 'node:http';
import { createGunzip } from 'node:zlib';
import { TidemarkError } from '@tidemark/protocol';
import { ByteCollector } from './byte-collector.ts';
import { type ProgressOptions, ProgressWatch } from './progress.ts';

const INFLATED_CHUNK_BYTES = 64 * 1024;

/** What a body may have and cost. */
export interface BodyOptions {
  /** Most bytes, compressed and inflated. */
  readonly bytesMax: number;
  /**
   * Called for the memory of the body before it is used, as the body arrives and as it is inflated.
   *
   * @throws TidemarkError to refuse it
   */
  readonly take?: (bytes: number) => void;
  /** The least that the client must send; anything that the request's time allows if absent. */
  readonly progress?: ProgressOptions;
}

/**
 * Reads a whole body, which may be compressed with gzip. A larger body is refused as soon as its size is
 * known; what happens to the rest, `UnreadBodies` says. `express.raw` would answer only after the whole body has arrived.
 *
 * @throws TidemarkError `too_large`, `unsupported_media_type`, `invalid_query`, `limit_exceeded` for a
 *   client that sends too slowly, or what `take` throws
 */
export async function readBody(request: IncomingMessage, options: BodyOptions): Promise<Buffer> {
  const { bytesMax } = options;
  const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip') {
    throw new TidemarkError('unsupported_media_type', 'Content-Encoding may be gzip or absent.');
  }
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const body = takeArrived(request, options) ?? (await collect(request, options));
  return encoding === 'gzip' && body.length > 0 ? unpack(body, options) : body;
}

/**
 * Reads a body as JSON.
 *
 * @param look is given the text before it is parsed
 * @throws TidemarkError like `readBody`, `invalid_json`, or what `look` throws
 */
export async function readJson(
  request: IncomingMessage,
  bytesMax: number,
  look?: (text: string) => void,
): Promise<unknown> {
  const text = (await readBody(request, { bytesMax })).toString('utf8');
  try {
    look?.(text);
    return JSON.parse(text);
  } catch (cause) {
    if (cause instanceof TidemarkError) throw cause;
    throw new TidemarkError('invalid_json', 'The body is not JSON.', { cause });
  }
}

/**
 * The body where all of it arrived with the headers, as most small ones do. To listen and to watch its progress would
 * cost more than its bytes.
 */
function takeArrived(
  request: IncomingMessage,
  { bytesMax, take }: BodyOptions,
): Buffer | undefined {
  const { readableLength } = request;
  if (readableLength === 0 || !hasArrived(request)) return undefined;
  if (readableLength > bytesMax) throw tooLarge(bytesMax);
  take?.(readableLength);
  const body: Buffer | null = request.read();
  // Its end comes by itself, and must not wait for a reader.
  if (!request.complete) request.resume();
  return body ?? undefined;
}

/** Node tells that a body is complete only after those who wait for promises have looked at its last bytes. */
function hasArrived({ complete, readableLength, headers }: IncomingMessage): boolean {
  return complete || Number(headers['content-length']) === readableLength;
}

function collect(request: IncomingMessage, options: BodyOptions): Promise<Buffer> {
  const { progress } = options;
  return new Promise((resolve, reject) => {
    const body = collectorFor(options);
    const watch =
      progress &&
      new ProgressWatch(progress, {
        bytes: () => body.length,
        onSlow: () => {
          progress.limits.hit('body_progress');
          stop(tooSlow(progress));
        },
      });
    const finish = (error?: unknown) => {
      watch?.pause();
      request.off('data', onChunk).off('end', finish).off('error', onBreak).off('close', onBreak);
      if (error === undefined) resolve(body.bytes());
      else reject(error);
    };
    const stop = (error: unknown) => {
      finish(error);
      request.pause();
    };
    const onChunk = (chunk: Buffer) => {
      try {
        body.append(chunk);
      } catch (error) {
        stop(error);
      }
    };
    const onBreak = () => finish(new TidemarkError('invalid_query', 'The body ended too early.'));
    request.on('data', onChunk).on('end', finish).on('error', onBreak).on('close', onBreak);
    watch?.resume();
  });
}

function unpack(body: Buffer, options: BodyOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const inflated = collectorFor(options);
    const gunzip = createGunzip({ chunkSize: INFLATED_CHUNK_BYTES });
    gunzip.on('data', (chunk: Buffer) => {
      try {
        inflated.append(chunk);
      } catch (error) {
        gunzip.destroy();
        reject(error);
      }
    });
    gunzip.on('end', () => resolve(inflated.bytes()));
    gunzip.on('error', (cause) => {
      reject(new TidemarkError('invalid_query', 'The body is not in gzip format.', { cause }));
    });
    gunzip.end(body);
  });
}

function collectorFor({ bytesMax, take }: BodyOptions): ByteCollector {
  return new ByteCollector({ bytesMax, take, onFull: () => tooLarge(bytesMax) });
}

function tooLarge(bytesMax: number): TidemarkError {
  return new TidemarkError('too_large', `The body may have at most ${bytesMax} bytes.`, {
    limit: 'request_bytes',
  });
}

function tooSlow({ progressBytesMin, progressMs }: ProgressOptions): TidemarkError {
  const reason = `Send at least ${progressBytesMin} bytes of a body in ${progressMs} ms.`;
  return new TidemarkError('limit_exceeded', reason, { retryAfterSeconds: 1 });
}
