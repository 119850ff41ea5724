import type { Span } from '../../api/types.ts';
import { count, duration } from '../../ui/format.ts';

/** What happens in a span, in words. */
export interface Step {
  readonly text: string;
  readonly more?: string;
}

/** Words for the spans that the services of Tidemark make; others, such as a publisher's own, keep their names. */
export function stepOf({ service, name, attributes }: Span): Step {
  const isOwn = service.startsWith('tidemark-');
  if (!isOwn) return { text: name };
  if (name.startsWith('send tidemark.events')) return { text: 'Stored in the stream' };
  if (name.startsWith('process tidemark.events')) return processed(service, attributes);
  if (name === 'validate') return { text: 'Checked' };
  if (name === 'publish') return { text: 'Taken in', more: 'over WebSocket' };
  if (name === 'deliver')
    return { text: 'Delivered', more: textOf(attributes['tidemark.connection']) };
  if (name.startsWith('POST ')) return { text: 'Taken in', more: name };
  return { text: name };
}

function processed(service: string, attributes: Span['attributes']): Step {
  if (service === 'tidemark-replay') return { text: 'Written to the archive' };
  if (service !== 'tidemark-gateway') return { text: 'Processed' };
  const connections = Number(attributes['tidemark.connections'] ?? 0);
  const ms = Number(attributes['tidemark.append_to_last_write_ms'] ?? Number.NaN);
  const instance = textOf(attributes['service.instance.id']);
  const after = Number.isNaN(ms) ? '' : `, the last ${duration(ms)} after it was stored`;
  const sockets = connections === 1 ? '1 connection' : `${count(connections)} connections`;
  return {
    text: 'Written to clients',
    more: `${instance ? `${instance}: ` : ''}${sockets}${after}`,
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
