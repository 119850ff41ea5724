import type { Tracer } from '@tidemark/telemetry';
import type { DeliveryTrace } from '../../log/event-entry.ts';
import { EventDeliveryTrace } from './delivery-traces.ts';

/** Spans of one connection's deliveries; after them it goes on without. */
export const DELIVERY_SPANS_MAX = 10_000;

/** Makes a span of each delivery of a followed event to one connection, which asked for it. */
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
