import type { Request, RequestHandler } from 'express';
import { activeTrace, type TraceAttributes } from '../trace.ts';
import type {
  EventAttributes,
  EventMap,
  EventPublisher,
  NewEvent,
  Published,
  PublishOptions,
  Stored,
} from '../types.ts';

/**
 * The events of `request.publish`, for the compiler. An application adds its own:
 *
 * @example
 * declare module '@tidemark/publisher/express' {
 *   interface RequestEvents { 'order.paid': Order }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to.
export interface RequestEvents {}

type Events = keyof RequestEvents extends never ? Record<string, unknown> : RequestEvents;

/** Publishes an event in the context of a request; otherwise as `EventPublisher.publish`. */
export type RequestPublish = <Type extends keyof Events & string>(
  topic: string,
  event: NewEvent<Type, Events[Type]>,
  options?: PublishOptions,
) => Promise<Stored & Partial<Pick<Published, 'cursor'>>>;

declare global {
  namespace Express {
    interface Request {
      /** Set by `publishing` of `@tidemark/publisher/express`. */
      publish: RequestPublish;
    }
  }
}

/** What events take from the request in which they are published. */
export interface PublishingOptions {
  /**
   * Names of request headers, and of the extension attributes that they become;
   * `{ 'x-correlation-id': 'correlationid' }` if absent. Anybody can send such a header: a value that is no plain
   * text, or is longer than 256 characters, is passed over.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /** Further attributes. The event's own count before them, and they count before headers. */
  readonly attributes?: (
    request: Request,
  ) => Readonly<Record<string, string | number | boolean | undefined>>;
}

const DEFAULT_HEADERS = { 'x-correlation-id': 'correlationid' };
/** CloudEvents 1.0 section 3.1, with the length that PROTOCOL.md permits. */
const ATTRIBUTE_NAME = /^[a-z0-9]{1,64}$/;
/** What is no extension: attributes with a meaning of their own. */
const OWN_NAMES = new Set([
  ...['id', 'source', 'type', 'specversion', 'topic', 'time', 'expires', 'subject', 'data'],
  ...['datacontenttype', 'dataschema', 'publisher', 'traceparent', 'tracestate'],
]);
const PLAIN_TEXT = /^[ -~]{1,256}$/;
/** W3C Trace Context, section 3.2. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Gives each request `publish`, which puts the context of the request on events: its correlation id, and its trace,
 * which is that of the active OpenTelemetry span, or else what `traceparent` says.
 *
 * @throws TypeError for an attribute name that is none, or that has a meaning of its own
 * @example
 * app.use(publishing(publisher));
 * app.post('/orders/:id/pay', async (request, response) => {
 *   await request.publish(`orders.${request.params.id}`, { type: 'order.paid', data: request.body });
 *   response.sendStatus(204);
 * });
 */
export function publishing<Map extends EventMap, Result extends Stored>(
  publisher: EventPublisher<Map, Result>,
  { headers = DEFAULT_HEADERS, attributes }: PublishingOptions = {},
): RequestHandler {
  const names = Object.entries(headers);
  for (const [, name] of names) requireExtensionName(name);
  const publish = publisher.publish as unknown as (
    topic: string,
    event: EventAttributes,
    options?: PublishOptions,
  ) => Promise<Result>;
  return (request, _, next) => {
    request.publish = ((topic: string, event: EventAttributes, options?: PublishOptions) => {
      const context = {
        ...fromHeaders(request, names),
        ...attributes?.(request),
        ...traceOf(request),
      };
      return publish(topic, { ...context, ...event }, options);
    }) as RequestPublish;
    next();
  };
}

function requireExtensionName(name: string): void {
  if (ATTRIBUTE_NAME.test(name) && !OWN_NAMES.has(name)) return;
  const rule = 'lower-case letters and digits, and no attribute with a meaning of its own';
  throw new TypeError(`${name} is no name of an extension attribute: ${rule}.`);
}

function fromHeaders(
  request: Request,
  names: readonly (readonly [header: string, attribute: string])[],
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap(([header, attribute]) => {
      const value = request.get(header);
      return value !== undefined && PLAIN_TEXT.test(value) ? [[attribute, value]] : [];
    }),
  );
}

/** The request's own context where no span is active: without OpenTelemetry the trace goes on all the same. */
function traceOf(request: Request): TraceAttributes {
  const active = activeTrace();
  if (active.traceparent) return active;
  const traceparent = request.get('traceparent');
  if (traceparent === undefined || !TRACEPARENT.test(traceparent)) return {};
  const tracestate = request.get('tracestate');
  return {
    traceparent,
    ...(tracestate !== undefined && PLAIN_TEXT.test(tracestate) && { tracestate }),
  };
}
