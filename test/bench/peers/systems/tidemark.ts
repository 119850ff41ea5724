import { INGEST_ACCOUNT, LIMITS_FOR_ONE_CLIENT, Stage } from '../../system/stage.ts';
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
      'that what was acknowledged survives a power cut: it survives the end of any process, but NATS syncs to disk every two minutes unless `sync_interval: always` is set or the stream has replicas on other machines (README.md)',
      'an order between publishers beyond that of the stream (README.md)',
      'more depth than the stream and the archive hold: a `gap` tells what is not delivered (README.md)',
      'effects in a consumer that happen exactly once (README.md)',
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
    const ingest = await stage.startIngest(INGEST_ACCOUNT);
    return {
      access: { ...stage.clientPlan(gateway.port), transport },
      target: { api: 'tidemark', host: '127.0.0.1', port: ingest.port, secret: stage.token },
      serving: [gateway.pid],
      others: { nats: [stage.nats.pid], ingest: [ingest.pid], replay: [replay.pid] },
      stored: () => stage.storedMessages(),
      async settled() {
        // Nothing leaves the stream, so that it holds as many as its last sequence says.
        const last = await stage.storedMessages();
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
