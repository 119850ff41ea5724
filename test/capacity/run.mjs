import { fileURLToPath } from 'node:url';
import { runTypeScript } from '../runner/typescript.mjs';

/* `npm run capacity` measures; `npm run capacity -- --plan --connections 1000000` plans. */

await runTypeScript(fileURLToPath(new URL('main.ts', import.meta.url)));
