import { LIMITS_FOR_ONE_CLIENT, Stage } from '../../system/stage.ts';
import type { RunningSystem, System } from './system.ts';

export const tidemarkWebSocket = tidemark('websocket');
export const tidemarkSse = tidemark('sse');

function tidemark(transport: 'websocket' | 'sse'): System {
  const isSse = transport === 'sse';
  return {
    name: isSse ? 'tidemark-sse' : 'tidemark',
    title: isSse ? 'Tidemark, SSE' : 'Tidemark, WebSocket',
    settings: [
      `limits for one address and one user, because all of the load has one of each: ${LIMITS_FOR_ONE_CLIENT.join(', ')}`,
      'NATS with file storage and its default `sync_interval` of two minutes; ingest, gateway, replay and NATS run, as with `npm start`',
    ],
    notPromised: [
      'an event that NATS has acknowledged survives the end of its process, but a power cut only with `sync_interval: always` or replicas on other machines (README.md, "It does not promise")',
      'an order between publishers beyond that of the stream (README.md)',
    ],
    without: (caseName) => {
      return isSse && caseName === 'publish'
        ? 'as over WebSocket: publishing is the same'
        : undefined;
    },
    start: () => start(transport),
  };
}

async function start(transport: 'websocket' | 'sse'): Promise<RunningSystem> {
  const stage = await Stage.open({});
  try {
    const replay = await stage.startReplay();
    const gateway = await stage.startGateway();
    const ingest = await stage.startIngest();
    return {
      access: { ...stage.clientPlan(gateway.port), transport },
      target: { api: 'tidemark', host: '127.0.0.1', port: ingest.port, secret: stage.token },
      serving: [gateway.pid],
      others: { nats: [stage.nats.pid], ingest: [ingest.pid], replay: [replay.pid] },
      async settled() {
        const last = await stage.lastSequence();
        await stage.untilHead(gateway, last);
        await stage.untilProjected(replay, last);
      },
      stop: () => stage.close(),
    };
  } catch (error) {
    await stage.close();
    throw error;
  }
}
