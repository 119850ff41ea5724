export * from './bulletins.ts';
export { eventsChannel } from './events-channel.ts';
export * from './http-front.ts';
export * from './parts.ts';
export * from './process.ts';
export type { Siblings } from './processes/siblings.ts';
export * from './version.ts';
