import { join } from 'node:path';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { endOnSignals, run } from '../../infra/launcher/command.mjs';
import { runMain } from '../../infra/launcher/failure.mjs';
import { provideLinters } from '../runner/documents.mjs';

/* `npm run check:documents`: lints what the built services answer at /openapi.json and /asyncapi.json. */

async function check() {
  const env = { ...process.env, ...(await provideLinters(console.log)) };
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--project', 'documents', 'test/documents/lint.test.ts'];
  const { ok } = await run(process.execPath, args, { cwd: ROOT, env, show: true, guarded: true });
  if (!ok) process.exitCode = 1;
}

endOnSignals();
await runMain(check);
