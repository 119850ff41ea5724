import { fileURLToPath } from 'node:url';
import { runTypeScript } from '../runner/typescript.mjs';

/* `npm run test:chaos -- --seed 1 --minutes 2` */

await runTypeScript(fileURLToPath(new URL('main.ts', import.meta.url)));
