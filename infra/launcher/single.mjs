import { join } from 'node:path';
import { ROOT } from './checkout.mjs';
import { consoleSettings, traceSettings } from './console.mjs';
import { adoptStreams, createNatsUsers } from './nats-users.mjs';
import { SERVICES } from './settings.mjs';
import { guardedPlan, servicePlan } from './system.mjs';

/**
 * @typedef {object} SingleOptions
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder for the data
 * @property {Record<string, number>} ports
 * @property {string | undefined} natsServer path; `undefined`: NATS runs elsewhere
 * @property {string} [jaeger] path; where absent none is run
 */

/**
 * The processes of `npm start`: one of each.
 *
 * @param {SingleOptions} options
 */
export function planSingle(options) {
  const { environment, folder, ports, natsServer, jaeger } = options;
  const users = createNatsUsers(folder);
  const { gateway = 0, replay = 0 } = ports;
  const forConsole = { ingest: {}, ...consoleSettings(environment, { page: gateway, replay }) };
  const services = SERVICES.map((name) =>
    servicePlan(name, {
      environment,
      folder,
      port: ports[name] ?? 0,
      defaults: {
        NATS_URL: `nats://127.0.0.1:${ports.nats}`,
        TIDEMARK_REPLAY_DATABASE: join(folder, 'archive.db'),
        ...(jaeger && {
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.otlp}`,
          // A user who sends a sample request looks at its trace at once.
          OTEL_BSP_SCHEDULE_DELAY: '200',
          ...traceSettings(environment, jaeger, ports.jaeger ?? 0),
        }),
      },
      fixed: { ...forConsole[name], ...(natsServer !== undefined && users.of(name)) },
    }),
  );
  return [
    ...(jaeger === undefined ? [] : [planJaeger(jaeger, options)]),
    ...(natsServer === undefined ? [] : [planNats(natsServer, options, users.server)]),
    ...services,
  ];
}

/**
 * @param {string} binary @param {SingleOptions} options
 * @param {Record<string, string>} passwords
 */
function planNats(binary, { environment, folder, ports }, passwords) {
  const store = join(folder, 'nats');
  adoptStreams(store);
  return guardedPlan({ name: 'nats', part: 'nats', env: { ...environment, ...passwords } }, [
    binary,
    ...['-c', join(ROOT, 'infra', 'nats', 'embedded.conf')],
    ...['-a', '127.0.0.1', '-p', String(ports.nats)],
    ...['-sd', store],
  ]);
}

/** @param {string} binary @param {SingleOptions} options */
function planJaeger(binary, { environment, ports }) {
  const env = {
    ...environment,
    JAEGER_QUERY_PORT: String(ports.jaeger),
    JAEGER_GRPC_PORT: String(ports.jaegerGrpc),
    JAEGER_OTLP_PORT: String(ports.otlp),
  };
  return guardedPlan({ name: 'jaeger', part: 'jaeger', env }, [
    binary,
    '--config',
    join(ROOT, 'infra', 'jaeger', 'jaeger.yaml'),
  ]);
}
