export * from './configuration.ts';
export * from './permissions.ts';
export * from './revocation-list.ts';
export * from './signing.ts';
export * from './stored-principal.ts';
export * from './token-lookup.ts';
export * from './verifier.ts';
