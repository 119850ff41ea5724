export { FairQueue, type Flow } from './fair-queue.ts';
export { type Applicant, Permits, type PermitsOptions } from './permits.ts';
export * from './shares.ts';
export * from './steps.ts';
export { UserPermits, type UserPermitsOptions } from './user-permits.ts';
