import type { Tracer } from '@tidemark/telemetry';
import type { DeliveryTrace } from '../../log/event-entry.ts';
import { EventDeliveryTrace } from './delivery-traces.ts';

/** Most delivery spans of one connection; later deliveries get none. */
export const DELIVERY_SPANS_MAX = 10_000;

/** Makes a span for each delivery of a traced event to one connection that asked for it. */
export function traceDeliveries(
  tracer: Tracer,
  { connection, transport }: { readonly connection: string; readonly transport: string },
): (deliveryTrace: DeliveryTrace) => void {
  let left = DELIVERY_SPANS_MAX;
  return (deliveryTrace) => {
    if (!(deliveryTrace instanceof EventDeliveryTrace) || left-- <= 0) return;
    const { context: parent, startMs } = deliveryTrace;
    const attributes = { 'tidemark.connection': connection, 'tidemark.transport': transport };
    tracer.span('deliver', { parent, startMs, attributes }).end();
  };
}
