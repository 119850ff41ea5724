import type { Endpoint } from '@tidemark/http';
import { meDescription } from './descriptions.ts';

/** `GET /v1/me` (PROTOCOL.md section 8.5): what a token permits, for pages and tools that got one. */
export const meEndpoint: Endpoint = {
  path: '/v1/me',
  methods: {
    GET: {
      ...meDescription,
      serve(_request, response, { subject, grants, admin, expiresAtMs }) {
        response.json({
          sub: subject,
          permissions: [
            ...new Set(grants.map(({ action, pattern }) => `${action}:${pattern}`)),
            ...(admin ? ['admin'] : []),
          ],
          expiresAt: new Date(expiresAtMs).toISOString(),
        });
      },
    },
  },
};
