import { isAbsolute, join } from 'node:path';
import {
  CLUSTER_PORT,
  DATA_FOLDER,
  HOST,
  JAEGER_PORT,
  NATS_PORT,
  SERVICE_PORTS,
} from '../../libs/config/src/defaults.mjs';
import { ROOT } from './checkout.mjs';
import { Failure } from './failure.mjs';
import { isFree } from './ports.mjs';

/** In the order in which they start. */
export const SERVICES = /** @type {const} */ (['replay', 'ingest', 'gateway']);

/** @typedef {(typeof SERVICES)[number]} ServiceName */

const LOOPBACK = '127.0.0.1';

/** @param {ServiceName} service */
export function portVariable(service) {
  return `TIDEMARK_${service.toUpperCase()}_PORT`;
}

/** @param {NodeJS.ProcessEnv} environment */
export function dataFolder(environment) {
  const folder = environment.TIDEMARK_DATA || DATA_FOLDER;
  return isAbsolute(folder) ? folder : join(ROOT, folder);
}

/** The folder of the cluster, beside what `npm start` keeps. @param {NodeJS.ProcessEnv} environment */
export function clusterFolder(environment) {
  return join(dataFolder(environment), 'cluster');
}

/** The first port of the cluster. @param {NodeJS.ProcessEnv} environment */
export function clusterPort(environment) {
  return readPort(environment, 'TIDEMARK_CLUSTER_PORT', CLUSTER_PORT);
}

/** @param {NodeJS.ProcessEnv} environment where the services listen */
export function serviceHost(environment) {
  return environment.TIDEMARK_HOST || HOST;
}

/** @param {NodeJS.ProcessEnv} environment where the services answer on this machine */
export function reachableHost(environment) {
  const host = serviceHost(environment);
  if (host === '0.0.0.0' || host === '::') return LOOPBACK;
  return host.includes(':') ? `[${host}]` : host;
}

/** @param {NodeJS.ProcessEnv} environment @param {ServiceName} service */
export function servicePort(environment, service) {
  return readPort(environment, portVariable(service), SERVICE_PORTS[service]);
}

/**
 * The ports to take; that of NATS only where the environment names no NATS.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
export function wantedPorts(environment) {
  const services = SERVICES.map((name) => ({
    name,
    variable: portVariable(name),
    port: servicePort(environment, name),
    host: serviceHost(environment),
  }));
  if (environment.NATS_URL) return services;
  const variable = 'TIDEMARK_NATS_PORT';
  const port = readPort(environment, variable, NATS_PORT);
  return [{ name: 'nats', variable, port, host: LOOPBACK }, ...services];
}

/**
 * The ports of a Jaeger. Where another process has the default port, Jaeger gets a free one, because
 * a start must not fail for tracing.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
export async function jaegerPorts(environment) {
  const variable = 'TIDEMARK_JAEGER_PORT';
  const usual = readPort(environment, variable, JAEGER_PORT);
  const given = environment[variable] || (await isFree(usual, LOOPBACK));
  const other = { variable, host: LOOPBACK, port: 0 };
  return [
    { name: 'jaeger', variable, port: given ? usual : 0, host: LOOPBACK },
    { ...other, name: 'jaegerGrpc' },
    { ...other, name: 'otlp' },
  ];
}

/** @param {NodeJS.ProcessEnv} environment @param {string} variable @param {number} standard */
function readPort(environment, variable, standard) {
  const text = environment[variable];
  if (!text) return standard;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new Failure(`${variable}=${text} is not a port from 0 to 65535.`);
}
