import type { Request, Response } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';

/** A DNS name, as senders name themselves. It is sent back in a header. */
const SENDER_NAME = /^[\w.:-]{1,255}$/;

/** Which senders of webhooks may send, and how much. */
export interface WebhookOptions {
  /** Names of senders separated by commas, or `*` for any; empty refuses the handshake. */
  readonly webhookOrigins: string;
  /** Requests per minute that a sender is told; 0 tells it no limit. */
  readonly webhookRate: number;
}

/**
 * Answers the handshake of the CloudEvents webhook specification (section 4), in which a sender asks whether
 * it may send events here. It is no authentication: each event needs a token all the same. A callback that the
 * sender offers is not called, because the answer is known at once.
 *
 * @returns false for another OPTIONS request, and where no sender is allowed
 */
export function webhookHandshake({ webhookOrigins, webhookRate }: WebhookOptions) {
  const allowed = new Set(webhookOrigins.split(',').map(normalize).filter(Boolean));
  return (request: Request, response: Response): boolean => {
    const sender = request.get('WebHook-Request-Origin')?.trim();
    if (sender === undefined || allowed.size === 0) return false;
    const isAllowed = allowed.has('*') || allowed.has(normalize(sender));
    if (!isAllowed || !SENDER_NAME.test(sender)) {
      throw new TidemarkError('forbidden', 'This sender of webhooks is not allowed here.');
    }
    response.set({
      Allow: 'POST',
      'WebHook-Allowed-Origin': sender,
      'WebHook-Allowed-Rate': webhookRate === 0 ? '*' : String(webhookRate),
    });
    response.status(200).end();
    return true;
  };
}

function normalize(name: string): string {
  return name.trim().toLowerCase();
}
