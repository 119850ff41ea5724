import { isCheckout, loadProgram } from '../base/checkout.ts';
import type { Profile } from './profiles.ts';
import { madeToken, type TokenSource } from './token-source.ts';

/** What a token of the built-in profile permits: it is for the owner of the checkout. */
export const LOCAL_SCOPE = 'subscribe:> publish:> history:> inbox:> admin';

const LOCAL_USER = 'operator';
const LOCAL_TTL_SECONDS = 3600;

type Environment = Readonly<Record<string, string | undefined>>;
type ServiceName = 'gateway' | 'ingest' | 'replay';

interface LauncherSettings {
  reachableHost(environment: Environment): string;
  servicePort(environment: Environment, service: ServiceName): number;
  dataFolder(environment: Environment): string;
  wantedPorts(environment: Environment): { readonly name: string; readonly port: number }[];
}

/** What a token is made for. */
export interface TokenRequest {
  readonly subject: string;
  readonly scope: string;
  readonly ttlSeconds: number;
}

/** The system that `npm start` of this checkout runs; `undefined` where this is no checkout. */
export async function localProfile(environment: Environment): Promise<Profile | undefined> {
  if (!isCheckout()) return undefined;
  const settings = await loadSettings();
  const host = settings.reachableHost(environment);
  const url = (service: ServiceName) =>
    `http://${host}:${settings.servicePort(environment, service)}`;
  return { gateway: url('gateway'), ingest: url('ingest'), replay: url('replay') };
}

/** Tokens of the checkout's own secret, as `npm run token` makes them. */
export function localToken(environment: Environment, user = LOCAL_USER): TokenSource {
  return madeToken(() =>
    makeLocalToken(environment, {
      subject: user,
      scope: LOCAL_SCOPE,
      ttlSeconds: LOCAL_TTL_SECONDS,
    }),
  );
}

/** Makes a token with the checkout's secret. @throws `Failure` of the launcher where there is none yet */
export async function makeLocalToken(
  environment: Environment,
  request: TokenRequest,
): Promise<string> {
  const { makeToken } = await loadProgram<{
    makeToken(
      request: TokenRequest & { environment: Environment; folder: string },
    ): Promise<string>;
  }>('infra/launcher/token.mjs');
  const { dataFolder } = await loadSettings();
  return makeToken({ environment, folder: dataFolder(environment), ...request });
}

/** The folder for the data of `npm start`. */
export async function localDataFolder(environment: Environment): Promise<string> {
  return (await loadSettings()).dataFolder(environment);
}

/** The port of the nats-server that `npm start` runs. */
export async function localNatsPort(environment: Environment): Promise<number> {
  const ports = (await loadSettings()).wantedPorts({ ...environment, NATS_URL: '' });
  return ports.find(({ name }) => name === 'nats')?.port ?? 0;
}

function loadSettings(): Promise<LauncherSettings> {
  return loadProgram<LauncherSettings>('infra/launcher/settings.mjs');
}
