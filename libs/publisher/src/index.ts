export { createPublisher } from './create-publisher.ts';
export { type Fault, type NamedEvent, TidemarkPublisherError } from './errors.ts';
export type * from './types.ts';
