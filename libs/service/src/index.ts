export * from './bulletins.ts';
export { eventsChannel } from './events-channel.ts';
export * from './http-front.ts';
export * from './parts.ts';
export * from './process.ts';
export { VERSION } from './version.ts';
