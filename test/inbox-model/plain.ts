import type { InboxChange } from '@tidemark/protocol';

/** A follow or a mute. */
export interface Rule {
  readonly pattern: string;
  readonly types: readonly string[] | undefined;
  readonly since: number;
}

/** What a user has, in the plainest form. */
export interface Plain {
  readonly seen: ReadonlySet<number>;
  readonly read: ReadonlySet<number>;
  readonly archived: ReadonlySet<number>;
  readonly snoozed: ReadonlyMap<number, number>;
  readonly follows: readonly Rule[];
  readonly mutes: readonly Rule[];
}

export const NOTHING: Plain = {
  seen: new Set(),
  read: new Set(),
  archived: new Set(),
  snoozed: new Map(),
  follows: [],
  mutes: [],
};

export function matchesPlainly(pattern: string, topic: string): boolean {
  const source = pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replace('>', '.+');
  return new RegExp(`^${source}$`).test(topic);
}

export const wants = ({ types }: Rule, type: string) =>
  types?.some((one) => (one.endsWith('*') ? type.startsWith(one.slice(0, -1)) : one === type)) ??
  true;

export function changePlainly(plain: Plain, change: InboxChange, end: number): Plain {
  const add = (set: ReadonlySet<number>, more: Iterable<number>) => new Set([...set, ...more]);
  switch (change.kind) {
    case 'follow':
    case 'mute': {
      const name = change.kind === 'follow' ? 'follows' : 'mutes';
      const { pattern, types } = change;
      const key = JSON.stringify([pattern, types]);
      if (plain[name].some((one) => JSON.stringify([one.pattern, one.types]) === key)) return plain;
      return { ...plain, [name]: [...plain[name], { pattern, types, since: end }] };
    }
    case 'unfollow':
    case 'unmute': {
      const name = change.kind === 'unfollow' ? 'follows' : 'mutes';
      const isNamed = ({ pattern, types }: Rule) =>
        pattern === change.pattern && (!change.types || String(types) === String(change.types));
      return { ...plain, [name]: plain[name].filter((one) => !isNamed(one)) };
    }
    case 'unread':
      return {
        ...plain,
        read: new Set([...plain.read].filter((one) => !change.sequences.includes(one))),
      };
    case 'unarchived':
      return {
        ...plain,
        archived: new Set([...plain.archived].filter((one) => !change.sequences.includes(one))),
      };
    case 'snoozed': {
      const snoozed = new Map(plain.snoozed);
      for (const sequence of change.sequences) snoozed.set(sequence, change.untilMs);
      return { ...plain, snoozed };
    }
    default: {
      const all =
        'upTo' in change ? Array.from({ length: change.upTo }, (_, i) => i + 1) : change.sequences;
      return { ...plain, [change.kind]: add(plain[change.kind], all) };
    }
  }
}
