import type { Principal } from '@tidemark/auth';
import { requireAdmin, requirePermission } from '@tidemark/auth';
import { type Endpoint, endRequestSpan, type Request, type Response, spanOf } from '@tidemark/http';
import {
  asTidemarkError,
  DELIVER,
  type Deliver,
  parsePatternList,
  parseStart,
  TidemarkError,
} from '@tidemark/protocol';
import type { Subscribing } from '../../connections/connection.ts';
import { goingAwayError } from '../../connections/registry.ts';
import { admit, type Gateway } from '../gateway.ts';
import { endWithError, openStream, startSession } from './session.ts';

const PATH = '/v1/sse';

const PARAMETERS = new Set(['topics', 'after', 'deliver', 'trace', 'access_token', 'ticket']);

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
}

/** `GET /v1/sse` (PROTOCOL.md section 7). */
export function sseEndpoint(gateway: Gateway, { retryMs }: { readonly retryMs: number }): Endpoint {
  const { reports } = gateway;
  return {
    path: PATH,
    authenticate: (request) => countRefusals(() => gateway.authenticateConnection(request)),
    postpone(request, response, error) {
      reports.reportRefused('sse', error, spanOf(response));
      const socket = openStream(request, response, retryMs);
      if (socket) endWithError(socket, error);
    },
    methods: {
      GET: (request, response, principal) =>
        countRefusals(() => connect({ request, response, principal })),
    },
  };

  /** Counts refusals. The application answers and logs them. */
  async function countRefusals<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      reports.countRefused('sse', error);
      throw error;
    }
  }

  function connect({ request, response, principal }: Exchange): void {
    if (gateway.registry.closing) {
      // No response, so that a proxy tries the next gateway; an EventSource reconnects by itself.
      reports.refused('sse', goingAwayError(), spanOf(response));
      request.socket.destroy();
      return;
    }
    const { trace, ...subscribing } = readQuery(request);
    for (const pattern of subscribing.patterns) requirePermission(principal, 'subscribe', pattern);
    if (trace) requireAdmin(principal);
    const socket = openStream(request, response, retryMs);
    if (!socket) return;
    const handshake = spanOf(response);
    try {
      admit(gateway, request, principal);
    } catch (error) {
      // A native EventSource never reconnects after a status other than 200.
      reports.refused('sse', error, handshake);
      endRequestSpan(response, PATH);
      endWithError(socket, asTidemarkError(error));
      return;
    }
    startSession(gateway, socket, { subscribing, principal, trace, handshake });
    // The connection stays open; its handshake has ended.
    endRequestSpan(response, PATH);
  }
}

function readQuery(request: Request): Subscribing & { readonly trace: boolean } {
  const parameters = new URL(request.url, 'http://gateway').searchParams;
  for (const name of parameters.keys()) {
    if (!PARAMETERS.has(name)) {
      const known = [...PARAMETERS].join(', ');
      throw new TidemarkError('invalid_query', `There is no parameter ${name}; known: ${known}.`);
    }
  }
  const lastEventId = request.get('Last-Event-ID');
  return {
    trace: parameters.get('trace') === 'true',
    patterns: parsePatternList(parameters.getAll('topics').join(',')),
    start: parseStart(lastEventId || (parameters.get('after') ?? undefined)),
    deliver: parseDeliver(parameters.get('deliver')),
  };
}

function parseDeliver(text: string | null): Deliver {
  const deliver = DELIVER.find((known) => known === (text ?? 'all'));
  if (deliver) return deliver;
  throw new TidemarkError('invalid_query', `deliver must be one of ${DELIVER.join(', ')}.`);
}
