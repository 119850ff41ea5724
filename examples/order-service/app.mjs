import express from 'express';
import { OrderError, readId, readKey, readNewOrder, readTraceparent } from './order.mjs';

/** @typedef {import('./postgresql-orders.mjs').PostgresqlOrders | import('./sqlite-orders.mjs').SqliteOrders} Orders */

const BODY_BYTES_MAX = 16 * 1024;

/**
 * The service over HTTP: `POST /orders`, `POST /orders/:id/pay` and `GET /orders/:id`. An error is answered with
 * `{code, message, retryable}`, and has changed nothing.
 *
 * @param {Orders} orders
 */
export function createApp(orders) {
  const app = express().disable('x-powered-by');
  app.use(express.json({ limit: BODY_BYTES_MAX }));

  app.post('/orders', async (request, response) => {
    const order = await orders.place(changeOf(request), readNewOrder(request.body));
    response.status(201).location(`/orders/${order.id}`).json(order);
  });
  app.post('/orders/:id/pay', async (request, response) => {
    response.json(await orders.pay(changeOf(request), readId(request.params.id)));
  });
  app.get('/orders/:id', async (request, response) => {
    response.json(await orders.find(readId(request.params.id)));
  });
  app.use((request) => {
    throw new OrderError(404, 'not_found', `There is no ${request.method} ${request.path}.`);
  });

  /** @type {express.ErrorRequestHandler} */
  const answerError = (error, _request, response, _next) => {
    const { status, code, message } = asOrderError(orders, error);
    if (status === 500) console.error(error);
    if (status === 503) response.set('Retry-After', '1');
    response.status(status).json({ code, message, retryable: status >= 500 });
  };
  app.use(answerError);
  return app;
}

/** @param {express.Request} request @returns {import('./order.mjs').Request} */
function changeOf(request) {
  return {
    key: readKey(request.get('idempotency-key')),
    traceparent: readTraceparent(request.get('traceparent')),
  };
}

/** @param {Orders} orders @param {any} error @returns {OrderError} */
function asOrderError(orders, error) {
  if (error instanceof OrderError) return error;
  if (error?.type === 'entity.too.large') {
    return new OrderError(413, 'too_large', `A body has at most ${BODY_BYTES_MAX} bytes.`);
  }
  // What express says about a body or a path that it cannot read.
  if (error?.status >= 400 && error.status < 500) {
    return new OrderError(400, 'invalid_request', 'The request cannot be read.');
  }
  if (orders.isTemporary(error)) {
    return new OrderError(503, 'unavailable', 'The database does not answer. Send it again.');
  }
  return new OrderError(500, 'internal', 'A fault of the service.');
}
