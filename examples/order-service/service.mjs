import { once } from 'node:events';
import { createServer } from 'node:http';
import { createApp } from './app.mjs';
import { PostgresqlOrders } from './postgresql-orders.mjs';
import { SqliteOrders } from './sqlite-orders.mjs';

/*
 * The order service as a process: DATABASE_URL (`postgres://…` or `sqlite:<path>`) and PORT. It knows nothing of
 * Tidemark but the table of the outbox, and runs on while Tidemark is away.
 */

const CONNECTIONS_MAX = 1000;

const { DATABASE_URL = '', PORT = '8095' } = process.env;

if (DATABASE_URL === '') {
  console.error(
    'DATABASE_URL is needed, such as postgres://user:password@host/database or sqlite:orders.db.',
  );
  process.exit(1);
}

const orders = DATABASE_URL.startsWith('sqlite:')
  ? new SqliteOrders(DATABASE_URL.slice('sqlite:'.length))
  : new PostgresqlOrders(DATABASE_URL);
await orders.migrate();

const server = createServer(createApp(orders));
server.maxConnections = CONNECTIONS_MAX;
server.listen(Number(PORT), '127.0.0.1');
await once(server, 'listening');
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
console.log(`listening on ${port}`);

/** Answers what has come in, and ends then. */
function stop() {
  server.close(() => orders.close());
  server.closeIdleConnections();
}
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
