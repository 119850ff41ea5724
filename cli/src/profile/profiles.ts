import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { codeOf, usageError } from '../base/errors.ts';
import { didYouMean, parseUrl, quoted } from '../base/parse.ts';

/** Where one system is, and how to get a token for it. */
export interface Profile {
  readonly gateway: string;
  /** The gateway's URL where absent: one proxy in front of all. */
  readonly ingest?: string;
  readonly replay?: string;
  /** The admin port of a gateway, where it has one. */
  readonly admin?: string;
  /** The admin port of replay, where it has one. */
  readonly replayAdmin?: string;
  readonly token?: string;
  /** Read each time that a token is needed. */
  readonly tokenFile?: string;
  /** Run by the shell each time that a token is needed; its output is the token. */
  readonly tokenCommand?: string;
  /** For `doctor`, `backup` and `restore`. */
  readonly nats?: { readonly url: string; readonly user?: string; readonly passwordFile?: string };
}

/** What `profiles.json` holds. */
export interface ProfileFile {
  /** The profile that counts where none is named. */
  readonly current?: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

/** The profile that is always there in a checkout: what `npm start` runs. */
export const LOCAL = 'local';

const TEXTS = [
  'gateway',
  'ingest',
  'replay',
  'admin',
  'replayAdmin',
  'token',
  'tokenFile',
  'tokenCommand',
] as const;
const URLS = ['gateway', 'ingest', 'replay', 'admin', 'replayAdmin'] as const;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const OTHERS_MAY_READ = 0o077;

type Environment = Readonly<Record<string, string | undefined>>;

/** The path of the file, by the rules of XDG. */
export function profilesPath(environment: Environment): string {
  const home = environment.HOME || homedir();
  const base = environment.XDG_CONFIG_HOME || join(home, '.config');
  return join(base, 'tidemark', 'profiles.json');
}

/** Reads the profiles; none where there is no file. @throws CliError that names the fault and the file */
export function readProfiles(path: string): ProfileFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { profiles: {} };
    throw usageError(`The profiles ${path} cannot be read (${codeOf(error)}).`);
  }
  try {
    return checkFile(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw usageError(`The profiles ${path} are broken: ${reason}`);
  }
}

/** Whether somebody else can read the file, which may hold tokens. */
export function isExposed(path: string): boolean {
  if (process.platform === 'win32') return false;
  try {
    return (statSync(path).mode & OTHERS_MAY_READ) !== 0;
  } catch {
    return false;
  }
}

/** Writes the profiles so that only their owner can read them, whole or not at all. */
export function writeProfiles(path: string, file: ProfileFile): void {
  const aside = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(aside, { force: true });
    writeFileSync(aside, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
    chmodSync(aside, 0o600);
    renameSync(aside, path);
  } catch (error) {
    throw usageError(`The profiles ${path} cannot be written (${codeOf(error)}).`);
  }
}

/** A profile by its name. @throws CliError that suggests the closest name */
export function profileOf({ profiles }: ProfileFile, name: string): Profile {
  const found = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (found) return found;
  const names = [...Object.keys(profiles), LOCAL];
  throw usageError(`There is no profile ${quoted(name)}.${didYouMean(name, names)}`);
}

/** Checks a name for a new profile. @throws CliError */
export function checkName(name: string): string {
  if (name === LOCAL) throw usageError(`The profile ${LOCAL} is built in.`);
  if (NAME.test(name)) return name;
  throw usageError(`A profile has a name of letters, digits, - and _, not ${quoted(name)}.`);
}

/** Checks what a profile holds. @returns it, its URLs without a slash at their ends. @throws CliError */
export function checkProfile(value: unknown, name: string): Profile {
  if (typeof value !== 'object' || value === null) throw usageError(`${name} is no object.`);
  const fields = value as Record<string, unknown>;
  for (const field of Object.keys(fields)) {
    if (field === 'nats' || (TEXTS as readonly string[]).includes(field)) continue;
    throw usageError(`${name} has an unknown field ${quoted(field)}.${didYouMean(field, TEXTS)}`);
  }
  for (const field of TEXTS) {
    const text = fields[field];
    if (text !== undefined && typeof text !== 'string')
      throw usageError(`${name}.${field} is no text.`);
  }
  const urls = URLS.flatMap((field) => {
    const text = fields[field];
    return typeof text === 'string' ? [[field, parseUrl(`${name}.${field}`, text)]] : [];
  });
  if (typeof fields.gateway !== 'string') throw usageError(`${name} has no gateway.`);
  const tokens = ['token', 'tokenFile', 'tokenCommand'].filter((field) => fields[field]);
  if (tokens.length > 1) throw usageError(`${name} has ${tokens.join(' and ')}; one is enough.`);
  if (fields.nats !== undefined) checkNats(fields.nats, name);
  return { ...(value as Profile), ...Object.fromEntries(urls) };
}

function checkNats(value: unknown, name: string): void {
  const { url, user, passwordFile, ...others } = (value ?? {}) as Record<string, unknown>;
  const wrong =
    typeof url !== 'string' ||
    [user, passwordFile].some((text) => text !== undefined && typeof text !== 'string') ||
    Object.keys(others).length > 0;
  if (wrong) throw usageError(`${name}.nats has url, and may have user and passwordFile.`);
}

function checkFile(value: unknown): ProfileFile {
  const { current, profiles } = (value ?? {}) as { current?: unknown; profiles?: unknown };
  if (typeof profiles !== 'object' || profiles === null) throw usageError('it has no profiles.');
  if (current !== undefined && typeof current !== 'string') throw usageError('current is no text.');
  const checked = Object.entries(profiles).map(([name, profile]) => [
    name,
    checkProfile(profile, name),
  ]);
  return { ...(current !== undefined && { current }), profiles: Object.fromEntries(checked) };
}
