import { readFileSync } from 'node:fs';
import { closest } from './suggestion.ts';

interface SettingBase {
  /** The environment variable. */
  readonly variable: string;
  /** One line for the reference, ending with the behaviour at the limit where there is one. */
  readonly meaning: string;
}

/** One setting: its variable, type, default and limits. */
export type Setting = SettingBase &
  (
    | {
        readonly type: 'integer';
        readonly default: number;
        readonly min: number;
        readonly max?: number;
        readonly unit: string;
      }
    | { readonly type: 'text'; readonly default: string }
    | { readonly type: 'choice'; readonly default: string; readonly choices: readonly string[] }
    /** Never printed. `<variable>_FILE` may name a file that holds it. */
    | { readonly type: 'secret'; readonly default: '' }
  );

/** The settings of one part, by the name under which the code knows them. */
export type Table = Readonly<Record<string, Setting>>;

/** The values of a table, by the name under which the code knows them. */
export type Values<T extends Table> = {
  readonly [K in keyof T]: T[K]['type'] extends 'integer' ? number : string;
};

/** Environment variables by name, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A rule between several settings, and the sentence that reports where it does not hold. */
export interface Relation<V> {
  readonly holds: (values: V) => boolean;
  readonly rule: string;
}

/** Everything that is wrong with the environment, one line for each fault. It ends the start. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`The configuration is wrong:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

/** What is read from the environment, and what it must satisfy. */
export interface ReadOptions<T extends Table> {
  readonly table: T;
  readonly relations?: readonly Relation<Values<T>>[];
  /** The variables of all Tidemark processes, so that one environment can serve all of them. */
  readonly known: ReadonlySet<string>;
}

/**
 * Reads a table from the environment. A variable that is absent or empty gets its default.
 *
 * @throws ConfigurationError that names every fault: wrong values, unknown `TIDEMARK_` variables, and
 *   relations that do not hold
 */
export function readConfiguration<T extends Table>(
  environment: Environment,
  { table, relations = [], known }: ReadOptions<T>,
): Values<T> {
  const faults = unknownVariables(environment, known);
  const values: Record<string, number | string> = {};
  for (const [name, setting] of Object.entries(table)) {
    try {
      values[name] = readSetting(environment, setting);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      faults.push(error.message);
    }
  }
  if (faults.length === 0) {
    for (const { holds, rule } of relations) {
      if (!holds(values as Values<T>)) faults.push(rule);
    }
  }
  if (faults.length > 0) throw new ConfigurationError(faults);
  return values as Values<T>;
}

/** The part before the host in a URL: a name and a password, or a token, of any characters. */
const CREDENTIALS = /\/\/[^\s,]*@/g;

/**
 * The values as they may be printed. Secrets show only whether they are set, and URLs hide their
 * credentials.
 */
export function redact<T extends Table>(table: T, values: Values<T>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(table).map(([name, { type }]) => [
      name,
      type === 'secret' ? (values[name] ? '(set)' : '(not set)') : withoutCredentials(values[name]),
    ]),
  );
}

function withoutCredentials(value: number | string | undefined): unknown {
  return typeof value === 'string' ? value.replace(CREDENTIALS, '//(hidden)@') : value;
}

class SettingError extends Error {}

function readSetting(environment: Environment, setting: Setting): number | string {
  const { variable } = setting;
  if (setting.type === 'secret') return readSecret(environment, variable);
  const text = environment[variable];
  if (text === undefined || text === '') return setting.default;
  if (setting.type === 'text') return text;
  if (setting.type === 'choice') {
    if (setting.choices.includes(text)) return text;
    throw new SettingError(`${variable}=${text} is not one of ${setting.choices.join(', ')}`);
  }
  const value = Number(text);
  const { min, max = Number.MAX_SAFE_INTEGER, unit } = setting;
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  const range = setting.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new SettingError(`${variable}=${text} is not a whole number ${range} (${unit})`);
}

function readSecret(environment: Environment, variable: string): string {
  const direct = environment[variable];
  const file = environment[`${variable}_FILE`];
  if (direct && file) throw new SettingError(`${variable} and ${variable}_FILE are both set`);
  if (!file) return direct ?? '';
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new SettingError(`${variable}_FILE=${file} cannot be read (${reason})`);
  }
}

function unknownVariables(environment: Environment, known: ReadonlySet<string>): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('TIDEMARK_') && !known.has(name))
    .map((name) => {
      const suggestion = closest(name, known);
      return `${name} is not a setting${suggestion ? `; did you mean ${suggestion}?` : ''}`;
    });
}
