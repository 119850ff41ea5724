import { frames } from './frames.ts';
import { bodies, headers, queries, requests } from './http-requests.ts';
import { natsMessages } from './nats-messages.ts';
import { parsers } from './parsers.ts';
import type { Surface } from './surface.ts';
import { webSocketMessages } from './web-socket-messages.ts';

/** The surfaces, by the names for `npm run fuzz -- --surface`. */
export const SURFACES: Readonly<Record<string, Surface>> = {
  parsers,
  websocket: webSocketMessages,
  frames,
  bodies,
  queries,
  headers,
  requests,
  nats: natsMessages,
};
