import { centrifugo, centrifugoTuned } from './centrifugo.ts';
import { socketIo } from './socket-io.ts';
import type { System } from './system.ts';
import { tidemarkSse, tidemarkWebSocket } from './tidemark.ts';

/** In the order of the table's columns. */
export const systems: readonly System[] = [
  tidemarkWebSocket,
  tidemarkSse,
  centrifugo,
  centrifugoTuned,
  socketIo,
];
