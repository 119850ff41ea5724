export * from './http-front.ts';
export * from './parts.ts';
export * from './process.ts';
