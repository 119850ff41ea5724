import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { localDataFolder, localNatsPort } from '../profile/local.ts';
import type { Context } from './context.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment for programs that connect to NATS, with the variables that the services have: `NATS_URL` where
 * it is set, then the profile's NATS, then that of `npm start`.
 *
 * @returns `undefined` where nothing names a NATS
 */
export async function natsEnvironment(context: Context): Promise<Environment | undefined> {
  const { environment } = context;
  if (environment.NATS_URL) return environment;
  const { nats, isLocal } = await context.target();
  if (nats) return naming(environment, nats.url, nats.user, nats.passwordFile);
  if (!isLocal) return undefined;
  const file = join(await localDataFolder(environment), 'nats-operator-password');
  const url = `nats://127.0.0.1:${await localNatsPort(environment)}`;
  return existsSync(file)
    ? naming(environment, url, 'tidemark-operator', file)
    : { ...environment, NATS_URL: url };
}

function naming(environment: Environment, url: string, user = '', passwordFile = ''): Environment {
  return {
    ...environment,
    NATS_URL: url,
    TIDEMARK_NATS_USER: user,
    TIDEMARK_NATS_PASSWORD: '',
    TIDEMARK_NATS_PASSWORD_FILE: passwordFile,
  };
}
