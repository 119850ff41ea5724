import { fileURLToPath } from 'node:url';
import { runTypeScript } from '../runner/typescript.mjs';

/* `npm run soak -- --minutes 30` */

await runTypeScript(fileURLToPath(new URL('main.ts', import.meta.url)));
