import { CLUSTER_PORT, DATA_FOLDER, JAEGER_PORT, NATS_PORT } from './defaults.mjs';
import type { Table } from './table.ts';

/** The settings of the launcher behind `npm start` and `npm test`. */
export const launcher = {
  natsServerBinary: {
    variable: 'TIDEMARK_NATS_SERVER_BIN',
    type: 'text',
    default: '',
    meaning: 'The nats-server that `npm start` and `npm test` run.',
  },
  natsPort: {
    variable: 'TIDEMARK_NATS_PORT',
    type: 'integer',
    default: NATS_PORT,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Port of the nats-server that `npm start` runs.',
  },
  clusterPort: {
    variable: 'TIDEMARK_CLUSTER_PORT',
    type: 'integer',
    default: CLUSTER_PORT,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning:
      'First of the ports of `npm run start:cluster`, which follow one another; 0: free ones.',
  },
  jaegerBinary: {
    variable: 'TIDEMARK_JAEGER_BIN',
    type: 'text',
    default: '',
    meaning: 'The Jaeger v2 that `npm start` and `npm test` run to show traces.',
  },
  centrifugoBinary: {
    variable: 'TIDEMARK_CENTRIFUGO_BIN',
    type: 'text',
    default: '',
    meaning: 'The Centrifugo 6 that `npm run bench -- peers` and `npm test -- --all` compare with.',
  },
  jaegerPort: {
    variable: 'TIDEMARK_JAEGER_PORT',
    type: 'integer',
    default: JAEGER_PORT,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Port of the UI and the API of the Jaeger that `npm start` runs.',
  },
  dataFolder: {
    variable: 'TIDEMARK_DATA',
    type: 'text',
    default: DATA_FOLDER,
    meaning: 'Folder for the data of `npm start`: the stream, the archive and the secret.',
  },
  node: {
    variable: 'TIDEMARK_NODE',
    type: 'text',
    default: '',
    meaning:
      'With `system`, no Node is installed into the checkout where the Node of the system is too old.',
  },
} as const satisfies Table;
