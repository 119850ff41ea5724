import { afterAll, beforeAll } from 'vitest';
import { type System, startSystem } from '../support/system.ts';
import { CommandLine } from './command.ts';

export let system: System;
/** Works on that system, and may do everything. */
export let cli: CommandLine;

/** Starts a system and its command line before the tests of a `describe`. */
export function useSystem(): void {
  beforeAll(async () => {
    system = await startSystem();
    cli = await CommandLine.for(system);
  });
  afterAll(async () => {
    cli?.remove();
    await system?.stop();
  });
}
