import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { CliError, codeOf, messageOf, usageError } from '../base/errors.ts';
import { EXIT } from '../base/exit-codes.ts';

/** Gives the token for requests. */
export interface TokenSource {
  /** A token that is valid for a while. @throws CliError where there is none */
  get(): Promise<string>;
  /** A service has refused this one: the next `get` makes another where that is possible. */
  refuse(token: string): void;
}

/** How long before its expiry a token is replaced. */
const RENEW_MS = 30_000;

/** How long a command may take to print a token. */
const COMMAND_MS = 30_000;

/** Most that a command may print. */
const OUTPUT_BYTES_MAX = 64 * 1024;

/** One token that is what it is. */
export function fixedToken(token: string): TokenSource {
  return { get: async () => checked(token, 'The token'), refuse: () => undefined };
}

/** Where nobody has given a token. */
export function noToken(hint: string): TokenSource {
  return {
    get: () =>
      Promise.reject(
        new CliError(`There is no token: ${hint}`, {
          code: 'unauthenticated',
          exitCode: EXIT.refused,
        }),
      ),
    refuse: () => undefined,
  };
}

/** The token that a file holds now, such as one that something else renews. */
export function fileToken(path: string): TokenSource {
  return {
    get: async () => {
      try {
        return checked(readFileSync(path, 'utf8'), `The token in ${path}`);
      } catch (error) {
        if (error instanceof CliError) throw error;
        throw usageError(`The token file ${path} cannot be read (${codeOf(error)}).`);
      }
    },
    refuse: () => undefined,
  };
}

/** The token that a command prints, run by the shell of the system. */
export function commandToken(command: string, environment: NodeJS.ProcessEnv): TokenSource {
  return madeToken(async () => {
    const shell = process.platform === 'win32' ? ['cmd.exe', '/c'] : ['/bin/sh', '-c'];
    try {
      const { stdout } = await promisify(execFile)(shell[0] ?? '', [shell[1] ?? '', command], {
        env: environment,
        timeout: COMMAND_MS,
        maxBuffer: OUTPUT_BYTES_MAX,
      });
      return checked(stdout, 'What the token command printed');
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw usageError(`The token command failed: ${messageOf(error).trim()}`);
    }
  });
}

/** Keeps a token that something makes, until shortly before it expires. */
export function madeToken(make: () => Promise<string>): TokenSource {
  let kept: Promise<string> | undefined;
  let untilMs = 0;
  return {
    get: () => {
      if (kept === undefined || Date.now() >= untilMs) {
        untilMs = Number.POSITIVE_INFINITY;
        kept = make().then(
          (token) => {
            untilMs = expiryMs(token) - RENEW_MS;
            return token;
          },
          (error) => {
            kept = undefined;
            throw error;
          },
        );
      }
      return kept;
    },
    refuse: () => {
      kept = undefined;
    },
  };
}

/** The claims of a token, without a look at its signature; `undefined` where it is no JWT. */
export function claimsOf(token: string): Record<string, unknown> | undefined {
  return partOf(token, 1);
}

/** The header of a token; `undefined` where it is no JWT. */
export function headerOf(token: string): Record<string, unknown> | undefined {
  return partOf(token, 0);
}

function partOf(token: string, index: number): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function expiryMs(token: string): number {
  const exp = Number(claimsOf(token)?.exp);
  return Number.isNaN(exp) ? Number.POSITIVE_INFINITY : exp * 1000;
}

/** A header cannot hold anything else, and a wrong one would only be called invalid. */
function checked(text: string, what: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usageError(
    `${what} is ${token === '' ? 'empty' : 'no token: it has white space or other characters'}.`,
  );
}
