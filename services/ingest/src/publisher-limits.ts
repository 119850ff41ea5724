import type { Budget, Limits, Rate } from '@tidemark/http';

/** What publishers may use of ingest. */
export interface PublisherLimitOptions {
  readonly limits: Limits;
  /** Memory of the bodies that one user sends at the same time, and all users. */
  readonly bodiesBytesPerUserMax: number;
  readonly bodiesBytesMax: number;
  /** Bytes of bodies of one user, inflated. */
  readonly bodyBytesPerSecondMax: number;
  /** Events of one user. */
  readonly publishesPerSecondMax: number;
  /** Events of all users that wait for their acknowledgement. */
  readonly appendsMax: number;
}

/** The limits of publishers. Those that users share keep a part for users who have nothing. */
export interface PublisherLimits {
  readonly bodies: Budget;
  readonly bytes: Rate;
  readonly events: Rate;
  readonly appends: Budget;
}

/** Creates the limits. */
export function createPublisherLimits(options: PublisherLimitOptions): PublisherLimits {
  const { limits } = options;
  return {
    bodies: limits.budget('bodies_bytes', {
      max: options.bodiesBytesMax,
      perUser: { limit: 'bodies_bytes_per_user', max: options.bodiesBytesPerUserMax },
      of: 'bytes of bodies',
    }),
    bytes: limits.rate('body_bytes_per_second', {
      max: options.bodyBytesPerSecondMax,
      of: 'bytes of bodies of one user',
    }),
    events: limits.rate('publishes_per_second', {
      max: options.publishesPerSecondMax,
      of: 'events of one user',
    }),
    appends: limits.budget('appends', {
      max: options.appendsMax,
      of: 'events that wait for the stream',
    }),
  };
}
