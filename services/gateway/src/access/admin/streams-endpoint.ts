import type { Endpoint, Limits } from '@tidemark/http';
import { type NatsLink, readStreamInfos } from '@tidemark/nats';
import { streamsDescription } from '../descriptions.ts';
import { readParameters } from './parameters.ts';
import { serveQuestions } from './questions.ts';

/** Most such requests at one time. Each asks NATS four times. */
const REQUESTS_MAX = 8;

/** Where NATS is, and what bounds the requests to it. */
export interface StreamsOptions {
  readonly link: NatsLink;
  readonly limits: Pick<Limits, 'semaphore'>;
}

/** `GET /v1/admin/streams` (PROTOCOL.md section 13.7). */
export function streamsEndpoint({ link, limits }: StreamsOptions): Endpoint {
  const places = limits.semaphore('stream_infos', {
    max: REQUESTS_MAX,
    of: 'requests about streams',
  });
  return {
    path: '/v1/admin/streams',
    methods: {
      GET: {
        ...streamsDescription,
        serve: serveQuestions(places, async ({ url }) => {
          readParameters(url, []);
          return readStreamInfos(link);
        }),
      },
    },
  };
}
