export * from './audit.ts';
export * from './logger.ts';
export * from './messaging.ts';
export * from './metrics.ts';
export * from './tracer.ts';
export * from './tracing.ts';
