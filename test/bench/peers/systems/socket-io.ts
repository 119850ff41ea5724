import { NODE_ARGUMENTS } from '@tidemark/config';
import { Worker } from '../../system/commands.ts';
import type { SocketIoCommands } from '../socket-io-server.ts';
import type { Needs, RunningSystem, System } from './system.ts';

const HOST = '127.0.0.1';
const DOCUMENTATION = 'https://socket.io/docs/v4';

export const socketIo: System = {
  name: 'socket.io',
  title: 'Socket.IO',
  settings: [
    'WebSocket alone, no compression; a room for each topic; Node with the arguments that the gateway has',
    `the first request of a session is not kept (${DOCUMENTATION}/memory-usage); its default engine \`ws\`: eiows and µWebSockets.js, which the same page compares, are native code and were not measured`,
    'no token is checked, and there is no limit',
    'an endpoint that emits the events of a body, in the process of the server, because it has no API of its own',
    'storm: `connectionStateRecovery`, which is off by default',
  ],
  notPromised: [
    `that an event arrives: at most once, and the server has no buffer for who is away (${DOCUMENTATION}/delivery-guarantees)`,
    `with \`connectionStateRecovery\`, that it succeeds: it "will not always be successful", and state has to be synchronized all the same; it keeps what was missed for two minutes by default, in the memory of one process (${DOCUMENTATION}/connection-state-recovery)`,
    `durability or a history: the server stores no event (${DOCUMENTATION}/tutorial/handling-disconnections)`,
    'to tell what was missed: a client learns whether its session was recovered',
  ],
  without: (caseName) => {
    return caseName === 'publish' ? 'it has no API to publish with' : undefined;
  },
  start,
};

async function start({ recovery }: Needs): Promise<RunningSystem> {
  const file = new URL('../socket-io-server.ts', import.meta.url);
  const server = await Worker.start<SocketIoCommands>(file, NODE_ARGUMENTS);
  const { port } = await server.call('listen', { recovery });
  return {
    access: {
      transport: 'socket.io',
      host: HOST,
      port,
      token: '',
      epoch: 'socketio',
      recovers: recovery,
    },
    target: { api: 'socket.io', host: HOST, port, secret: '' },
    serving: [server.pid],
    others: {},
    settled: async () => {},
    stop: () => server.stop(),
  };
}
