export * from './binary-mode.ts';
export * from './cursors.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './frames.ts';
export * from './messages.ts';
export * from './stored-events.ts';
export * from './topics.ts';
