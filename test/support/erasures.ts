import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeToken, type Service } from './services.ts';
import type { System } from './system.ts';

/** What a replay service answers to a request for an erasure. */
export interface ErasureAnswer {
  readonly status: number;
  readonly cursor: string | null;
  readonly events: number;
  readonly complete: boolean;
  readonly code?: string;
}

/** Asks a replay service to erase something, as an operator. */
export async function erase(
  replay: Service,
  target: object,
  { reason = 'asked to', scope = 'admin' }: { reason?: string; scope?: string } = {},
): Promise<ErasureAnswer> {
  const response = await fetch(`${replay.url}/v1/admin/erasures`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await makeToken(scope, 'operator')}` },
    body: JSON.stringify({ ...target, reason }),
  });
  return { status: response.status, ...((await response.json()) as object) } as ErasureAnswer;
}

/** The files of the stream, and those of archives, that hold a text. */
export function filesWith(text: string, { nats }: Pick<System, 'nats'>, replays: Service[]) {
  const stored = readdirSync(nats.storeFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const archived = replays.flatMap(({ database }) => {
    const beside = readdirSync(dirname(database)).filter((one) =>
      one.startsWith(basename(database)),
    );
    return beside.map((name) => join(dirname(database), name));
  });
  return [...stored, ...archived].filter((path) => readFileSync(path).includes(text));
}
