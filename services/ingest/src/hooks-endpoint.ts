import { HOOK_SUBJECT_PREFIX, type Principal } from '@tidemark/auth';
import {
  type Endpoint,
  type Holding,
  type Limits,
  type ProgressLimits,
  type RefusalLog,
  type RefusedAddresses,
  type Request,
  type Response,
  readBody,
} from '@tidemark/http';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol';
import { type DescribedLimits, describeHook } from './descriptions.ts';
import { readHookBody, requireJson } from './hook-submission.ts';
import type { Hook } from './hooks/hook.ts';
import { isRefusedRepeat } from './one-by-one.ts';
import type { Publishing } from './publishing.ts';

export interface HooksEndpointOptions extends ProgressLimits, DescribedLimits {
  readonly limits: Limits;
  readonly hooks: ReadonlyMap<string, Hook>;
  readonly publishing: Publishing;
  /** What all senders together may send at one time. */
  readonly bodiesBytesPerUserMax: number;
  readonly refusedAddresses: RefusedAddresses;
  readonly refusalLog: RefusalLog;
  readonly now?: () => number;
}

/** A webhook whose signature is right. */
interface Delivery {
  readonly hook: Hook;
  readonly body: Buffer;
  readonly held: Pick<Holding, 'release'>;
}

/**
 * `POST /v1/hooks/<name>`: makes events of a webhook and appends them. Its signature takes the place of a token.
 * The answer is 200 without a body, which is what senders take for success, also for what is stored already.
 */
export function hooksEndpoint(options: HooksEndpointOptions): Endpoint {
  const { hooks, publishing, refusedAddresses, refusalLog, limits, now = Date.now } = options;
  const deliveries = new WeakMap<Principal, Delivery>();
  const unverified = limits.budget('hook_bodies_bytes', {
    max: options.bodiesBytesPerUserMax,
    of: 'bytes of bodies of webhooks',
  });

  /** Anybody may send a body, so an address takes a part of what a user may have, and all take no more than that. */
  function openBody(address: string): Holding {
    const holdings = [unverified.open(address), publishing.openBody(HOOK_SUBJECT_PREFIX)];
    return {
      take: (bytes) => holdings.forEach((holding) => void holding.take(bytes)),
      release: () => holdings.forEach((holding) => void holding.release()),
    };
  }

  async function receive(request: Request): Promise<Principal> {
    const { headers } = request;
    const name = String(request.params.name);
    const hook = hooks.get(name);
    if (!hook) throw new TidemarkError('not_found', `There is no hook ${name} here.`);
    requireJson(headers);
    if (headers['content-encoding'] !== undefined) {
      throw new TidemarkError('unsupported_media_type', 'A webhook is sent uncompressed.');
    }
    const address = refusedAddresses.addressOf(request) ?? '';
    const held = openBody(address);
    try {
      const { bodyBytesMax: bytesMax } = options;
      const body = await readBody(request, { bytesMax, take: held.take, progress: options });
      await publishing.runStep({ request, user: `${HOOK_SUBJECT_PREFIX} ${address}` }, () =>
        hook.checkSignature({ headers, body, nowMs: now() }),
      );
      const principal = principalOf(hook);
      deliveries.set(principal, { hook, body, held });
      return principal;
    } catch (error) {
      held.release();
      throw error;
    }
  }

  async function store(request: Request, response: Response, principal: Principal): Promise<void> {
    const delivery = deliveries.get(principal);
    if (!delivery) throw new TypeError('The principal is not that of a webhook.');
    const { hook, body, held } = delivery;
    const user = principal.subject;
    try {
      await publishing.publish({ request, response, user }, body, async (context) => {
        return { submission: await readHookBody(request.headers, body, { hook, context }) };
      });
    } catch (error) {
      const known = asTidemarkError(error);
      if (!isRefusedRepeat(known)) throw error;
      const { code, message: reason } = known;
      // Senders write into a repeat how often they have sent it, and would go on for days after a refusal.
      const refusal = {
        message: `webhook repeated ${code === 'erased' ? 'after its erasure' : 'with other content'}`,
        code,
      };
      refusalLog.tell({ subject: user }, refusal, () => ({ reason }));
    } finally {
      held.release();
    }
    response.status(200).end();
  }

  return {
    path: '/v1/hooks/:name',
    authenticate: (request) =>
      publishing.counted(() => refusedAddresses.guard(request, () => receive(request))),
    credentials: [],
    methods: {
      POST: {
        ...describeHook(options),
        serve: (request, response, principal) =>
          publishing.counted(() => store(request, response, principal)),
      },
    },
  };
}

/** A publisher that no token can name. It may do nothing else. */
function principalOf({ name }: Hook): Principal {
  return {
    subject: `${HOOK_SUBJECT_PREFIX}${name}`,
    grants: [],
    admin: false,
    expiresAtMs: Number.POSITIVE_INFINITY,
  };
}
