import { usageError } from '../base/errors.ts';
import { parseUrl } from '../base/parse.ts';
import { localProfile, localToken } from './local.ts';
import { LOCAL, type Profile, profileOf, profilesPath, readProfiles } from './profiles.ts';
import { commandToken, fileToken, fixedToken, noToken, type TokenSource } from './token-source.ts';

/** The services that answer requests, and the admin ports of two of them. */
export type ServiceName = 'gateway' | 'ingest' | 'replay' | 'gatewayAdmin' | 'replayAdmin';

/** The system that a command works on. */
export interface Target {
  /** The name of the profile; `undefined` where flags alone say it. */
  readonly profile: string | undefined;
  readonly urls: Readonly<Record<ServiceName, string>>;
  readonly token: TokenSource;
  readonly nats: Profile['nats'];
  /** Whether it is what `npm start` of this checkout runs. */
  readonly isLocal: boolean;
  /** Whether nobody gives a token for it, so that the secret of the checkout makes them. */
  readonly isTokenMade: boolean;
}

/** The options that choose the system; they count before the profile. */
export interface TargetOptions {
  readonly profile?: string;
  readonly gateway?: string;
  readonly ingest?: string;
  readonly replay?: string;
  readonly admin?: string;
  readonly token?: string;
  /** The user of a token that is made here. */
  readonly as?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the system: options, then variables, then the named or current profile, then what `npm start` runs.
 *
 * @throws CliError where a profile is wrong or nothing names a system
 */
export async function findTarget(
  options: TargetOptions,
  environment: Environment,
): Promise<Target> {
  const { name, profile, isLocal } = await chooseProfile(options, environment);
  const given = options.gateway && parseUrl('--gateway', options.gateway);
  const gateway = given || profile.gateway;
  // A gateway that a flag names does not belong to the profile's other services.
  const others: Partial<Profile> = given ? {} : profile;
  const url = (flag: 'ingest' | 'replay') => {
    const text = options[flag];
    return text ? parseUrl(`--${flag}`, text) : (others[flag] ?? gateway);
  };
  const [ingest, replay] = [url('ingest'), url('replay')];
  const admin = options.admin && parseUrl('--admin', options.admin);
  // The secret of a checkout signs for its own services; others learn nothing signed with it.
  const named = [options.gateway, options.ingest, options.replay, options.admin];
  const isOwn = isLocal && named.every((one) => !one || isLoopback(one));
  const isTokenMade = isOwn && !isTokenGiven(options, environment);
  return {
    profile: name,
    urls: {
      gateway,
      ingest,
      replay,
      gatewayAdmin: admin || (others.admin ?? gateway),
      replayAdmin: admin || (others.replayAdmin ?? replay),
    },
    token: tokenOf(options, environment, { profile, isTokenMade }),
    nats: profile.nats,
    isLocal: isLocal && !given,
    isTokenMade,
  };
}

interface Chosen {
  readonly name: string | undefined;
  readonly profile: Profile;
  readonly isLocal: boolean;
}

async function chooseProfile(options: TargetOptions, environment: Environment): Promise<Chosen> {
  const file = readProfiles(profilesPath(environment));
  const name = options.profile || environment.TIDEMARK_PROFILE || file.current;
  if (name && name !== LOCAL) return { name, profile: profileOf(file, name), isLocal: false };
  const local = await localProfile(environment);
  if (local) return { name: LOCAL, profile: local, isLocal: true };
  if (options.gateway) {
    return { name: undefined, profile: { gateway: options.gateway }, isLocal: false };
  }
  throw usageError(
    'Nothing names a system: `tidemark profile add` keeps one, and --gateway names one.',
  );
}

function tokenOf(
  options: TargetOptions,
  environment: Environment,
  { profile, isTokenMade }: { readonly profile: Profile; readonly isTokenMade: boolean },
): TokenSource {
  if (isTokenMade) return localToken(environment, options.as);
  if (options.as) {
    throw usageError('--as is for the profile local, whose tokens are made here.');
  }
  const given = options.token || environment.TIDEMARK_TOKEN;
  if (given) return fixedToken(given);
  if (environment.TIDEMARK_TOKEN_FILE) return fileToken(environment.TIDEMARK_TOKEN_FILE);
  if (profile.token) return fixedToken(profile.token);
  if (profile.tokenFile) return fileToken(profile.tokenFile);
  if (profile.tokenCommand) return commandToken(profile.tokenCommand, { ...environment });
  return noToken('--token, TIDEMARK_TOKEN or a profile gives one.');
}

function isTokenGiven({ token }: TargetOptions, environment: Environment): boolean {
  return Boolean(token || environment.TIDEMARK_TOKEN || environment.TIDEMARK_TOKEN_FILE);
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}
