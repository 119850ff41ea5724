export type { Request, Response } from 'express';
export * from './app.ts';
export * from './authentication.ts';
export * from './body.ts';
export * from './error-response.ts';
export { endRequestSpan, spanOf } from './observation.ts';
export * from './process.ts';
export * from './server.ts';
