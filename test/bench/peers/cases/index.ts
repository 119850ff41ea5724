import type { ComparisonCase } from './comparison-case.ts';
import { fanOut, narrow } from './deliveries.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { publish } from './publish.ts';
import { storm } from './storm.ts';

/** In the order of the table. */
export const cases: readonly ComparisonCase[] = [fanOut, narrow, latency, idle, storm, publish];
