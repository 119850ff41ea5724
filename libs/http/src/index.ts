import type { Request as ExpressRequest, Response as ExpressResponse } from 'express';

export { type AddressCarrier, clientOf, parseProxies } from './addresses.ts';
export * from './app.ts';
export * from './authentication.ts';
export { takeFromHttp } from './bare-socket.ts';
export * from './body.ts';
export * from './connection-limiter.ts';
export type { Channel, ChannelMessage } from './contract/asyncapi.ts';
export type { Answer, Credential, Description } from './contract/description.ts';
export * from './error-response.ts';
export * from './hosts.ts';
export { answerEmpty, answerJson } from './json-answer.ts';
export * from './limits.ts';
export { endRequestSpan, spanOf } from './observation.ts';
export { checkOrigin, type Origins, parseOrigins } from './origins.ts';
export * from './other-processes.ts';
export type { OpenPage } from './pages.ts';
export type { ProgressLimits, ProgressOptions } from './progress.ts';
export { type PublicFile, publicFile } from './public-file.ts';
export * from './refusal-log.ts';
export * from './refused-addresses.ts';
export * from './server.ts';
export * from './static-folder.ts';
export { WatchedAnswer } from './watched-answer.ts';

/** The request that an endpoint answers: that of express. */
export type Request = ExpressRequest;

/** The answer that an endpoint gives: that of express. */
export type Response = ExpressResponse;
