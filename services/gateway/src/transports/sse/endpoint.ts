import type { Principal } from '@tidemark/auth';
import { requireAdmin, requirePermission } from '@tidemark/auth';
import {
  type Endpoint,
  endRequestSpan,
  type Request,
  type Response,
  spanOf,
  takeFromHttp,
} from '@tidemark/http';
import { asTidemarkError, type SubscriptionRequest } from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { goingAwayError } from '../../connections/registry.ts';
import { awaitRate, HANDSHAKE_COST_BYTES, SUBSCRIBE_COST_BYTES } from '../costs.ts';
import { admit, type Gateway } from '../gateway.ts';
import { getDescription, postDescription } from './descriptions.ts';
import { readBodyRequest, readQueryRequest } from './requests.ts';
import { endWithError, openStream, SseClient } from './session.ts';

const PATH = '/v1/sse';

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
  readonly asked: SubscriptionRequest;
}

/** `GET` and `POST /v1/sse` (PROTOCOL.md section 7). */
export function sseEndpoint(gateway: Gateway, { retryMs }: { readonly retryMs: number }): Endpoint {
  const { reports } = gateway;
  const about = (request: Request, handshake: Span) => {
    return { transport: 'sse', address: gateway.addressOf(request), handshake } as const;
  };
  return {
    path: PATH,
    credentials: ['token', 'ticket'],
    authenticate: (request) => countRefusals(() => gateway.authenticateConnection(request)),
    postpone(request, response, error) {
      reports.reportRefused(about(request, spanOf(response)), error);
      const body = openStream(request, response, retryMs);
      if (body) endWithError(body, error);
    },
    methods: {
      GET: {
        ...getDescription,
        serve: (request, response, principal) =>
          countRefusals(() =>
            connectInTurn({ request, response, principal, asked: readQueryRequest(request) }),
          ),
      },
      POST: {
        ...postDescription,
        serve: (request, response, principal) =>
          countRefusals(async () => {
            const asked = await readBodyRequest(request);
            await connectInTurn({ request, response, principal, asked });
          }),
      },
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

  /** Connects when the user is next, as for WebSockets: thousands of clients may connect at once. */
  async function connectInTurn(exchange: Exchange): Promise<void> {
    const { request, principal, asked } = exchange;
    const { socket } = request;
    const bytes = HANDSHAKE_COST_BYTES.sse + SUBSCRIBE_COST_BYTES[asked.start.kind];
    await awaitRate(gateway, socket, { user: principal.subject, bytes });
    const flow = { user: principal.subject, connection: socket };
    await new Promise<void>((resolve, reject) => {
      gateway.core.userWork.enqueue(() => {
        try {
          resolve(socket.destroyed ? undefined : connect(exchange));
        } catch (error) {
          reject(error);
        }
      }, flow);
    });
  }

  function connect({ request, response, principal, asked }: Exchange): void {
    if (gateway.registry.closing) {
      // No response, so that a proxy tries the next gateway; an EventSource reconnects by itself.
      reports.refused(about(request, spanOf(response)), goingAwayError());
      request.socket.destroy();
      return;
    }
    const { trace, ...subscribing } = asked;
    for (const pattern of subscribing.patterns) requirePermission(principal, 'subscribe', pattern);
    if (trace) requireAdmin(principal);
    const body = openStream(request, response, retryMs);
    if (!body) return;
    const handshake = spanOf(response);
    let address: string;
    try {
      address = admit(gateway, request, principal);
    } catch (error) {
      // A native EventSource never reconnects after a status other than 200.
      reports.refused(about(request, handshake), error);
      endRequestSpan(response, PATH);
      endWithError(body, asTidemarkError(error));
      return;
    }
    // The connection stays open; its handshake has ended.
    endRequestSpan(response, PATH);
    const bare = { ...body, socket: takeFromHttp(body.socket) };
    const session = { principal, address, trace, handshake };
    new SseClient(gateway, bare, session).subscribe(subscribing);
  }
}
