import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const SHOWN = 25;
const NOT_WORK = new Set(['(idle)', '(program)']);

/** The functions that a profiled process spent its time in, without the functions they call. */
export function summarizeProfiles(folder: string): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => summarize(JSON.parse(readFileSync(join(folder, name), 'utf8'))))
    .join('\n\n');
}

function summarize({ nodes, samples, timeDeltas }: Profile): string {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const selfUs = new Map<string, number>();
  let workUs = 0;
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '?';
    const us = timeDeltas[index] ?? 0;
    selfUs.set(name, (selfUs.get(name) ?? 0) + us);
    if (!NOT_WORK.has(name)) workUs += us;
  });
  const rows = [...selfUs]
    .filter(([name]) => !NOT_WORK.has(name))
    .sort(([, left], [, right]) => right - left)
    .slice(0, SHOWN)
    .map(([name, us]) => `${((us / workUs) * 100).toFixed(1).padStart(5)} %  ${name}`);
  return [`work ${(workUs / 1e6).toFixed(2)} s`, ...rows].join('\n');
}

function nameOf({ functionName, url, lineNumber }: ProfileNode['callFrame']): string {
  const place = url.replace(/^.*\/(node_modules|services|libs)\//, '');
  return `${functionName || '(anonymous)'}${place ? `  ${place}:${lineNumber + 1}` : ''}`;
}
