import { createReadStream, statSync } from 'node:fs';
import { codeOf, usageError } from '../base/errors.ts';

/** Bytes that a command reads, and how many of them it has read. */
export interface Input {
  readonly chunks: AsyncIterable<Buffer>;
  /** Bytes; `undefined` where they end with a pipe. */
  readonly size: number | undefined;
  /** Bytes so far. */
  readonly read: () => number;
}

/** Opens a file, or stdin for `-`. @throws CliError where it is not there or no file */
export function openInput(path: string, stdin: NodeJS.ReadStream, signal: AbortSignal): Input {
  let read = 0;
  const { source, size } = path === '-' ? { source: stdin, size: undefined } : openFile(path);
  const end = () => source.destroy();
  signal.addEventListener('abort', end, { once: true });
  async function* chunks() {
    try {
      for await (const chunk of source) {
        const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
        read += bytes.length;
        yield bytes;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw usageError(`${path} cannot be read (${codeOf(error)}).`);
    } finally {
      signal.removeEventListener('abort', end);
    }
    signal.throwIfAborted();
  }
  return { chunks: chunks(), size, read: () => read };
}

function openFile(path: string) {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) throw usageError(`${path} is a folder.`);
    // A pipe such as /dev/stdin has no size that means anything.
    return { source: createReadStream(path), size: stats.isFile() ? stats.size : undefined };
  } catch (error) {
    if (codeOf(error) === undefined || codeOf(error) === 'usage') throw error;
    throw usageError(`${path} cannot be read (${codeOf(error)}).`);
  }
}

/** Reads stdin or a file as one text. @throws CliError where it has more than `bytesMax` bytes */
export async function readText(input: Input, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of input.chunks) {
    size += chunk.length;
    if (size > bytesMax) throw usageError(`The input has more than ${bytesMax} bytes.`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}
