import { join } from 'node:path';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { installOwnPackages, installPythonPackages } from './own-packages.mjs';

const FOLDER = join(ROOT, 'test', 'documents');

/** @param {readonly string[]} args vitest's filters and options */
export function asksForDocuments(args) {
  return args.some((arg) => /^(--project=)?documents$|test\/documents/.test(arg));
}

/**
 * Installs what the documents of the services are checked with.
 *
 * @param {(text: string) => void} say
 * @returns {Promise<Record<string, string>>} variables for the tests
 */
export async function provideLinters(say) {
  await installOwnPackages(FOLDER, 'the checks of documents', say);
  return { TEST_DOCUMENTS: 'installed' };
}

/**
 * Installs that, and what holds the documents against the running services.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<Record<string, string>>} variables for the tests, which skip what has none
 */
export async function provideDocumentTools(environment, say) {
  const list = join(FOLDER, 'requirements.txt');
  const python = await installPythonPackages(list, 'Schemathesis', environment, say);
  const linters = await provideLinters(say);
  return { ...linters, ...(python !== undefined && { TEST_SCHEMATHESIS: python }) };
}
