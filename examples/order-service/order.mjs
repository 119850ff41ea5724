/**
 * @typedef {object} Order
 * @property {string} id
 * @property {number} version counts the changes of this order, from 1
 * @property {'placed' | 'paid'} status
 * @property {string} customer
 * @property {number} total in cents
 */

/** @typedef {Pick<Order, 'customer' | 'total'>} NewOrder what a client sends */

/**
 * @typedef {object} Request what comes with each change
 * @property {string} key chosen by the client: the same request sent again has no second effect
 * @property {string | undefined} traceparent the trace in which the request was made
 */

const CUSTOMER_LENGTH_MAX = 100;
const TOTAL_MAX = 1_000_000_00;
const KEY_LENGTH_MAX = 200;

/** An error with an answer of its own. It has the form of Tidemark's errors: `{code, message, retryable}`. */
export class OrderError extends Error {
  /** @override */
  name = 'OrderError';

  /** @param {number} status of HTTP @param {string} code for programs @param {string} message for people */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** @param {unknown} body @returns {NewOrder} @throws OrderError `invalid_order` */
export function readNewOrder(body) {
  const { customer, total } = /** @type {Partial<Record<string, unknown>>} */ (body ?? {});
  const isName =
    typeof customer === 'string' &&
    customer !== '' &&
    customer.length <= CUSTOMER_LENGTH_MAX &&
    customer.isWellFormed() &&
    !customer.includes('\0');
  if (!isName) {
    throw invalid(`\`customer\` is a text of 1 to ${CUSTOMER_LENGTH_MAX} characters.`);
  }
  if (typeof total !== 'number' || !Number.isInteger(total) || total < 1 || total > TOTAL_MAX) {
    throw invalid(`\`total\` is an integer from 1 to ${TOTAL_MAX}, in cents.`);
  }
  return { customer, total };
}

/** @param {string | undefined} key the header @returns {string} @throws OrderError `invalid_key` */
export function readKey(key) {
  if (key && key.length <= KEY_LENGTH_MAX) return key;
  const message = `The header Idempotency-Key is needed, with at most ${KEY_LENGTH_MAX} characters.`;
  throw new OrderError(400, 'invalid_key', message);
}

/** @param {string} id from a path @returns {string} @throws OrderError `not_found` */
export function readId(id) {
  if (/^[0-9a-f-]{36}$/.test(id)) return id;
  throw notFound(id);
}

/**
 * The trace that the request belongs to. (With an OpenTelemetry SDK in the service this is not needed: the outbox
 * takes the active span.)
 *
 * @param {string | undefined} header
 */
export function readTraceparent(header) {
  return header && /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header) ? header : undefined;
}

/**
 * The event of a change. Whoever reads it knows by its version which state has it already.
 *
 * @param {Order} order as it is after the change
 * @param {string | undefined} traceparent
 */
export function eventOf(order, traceparent) {
  return {
    topic: `orders.${order.id}`,
    type: `order.${order.status}`,
    data: order,
    ...(traceparent !== undefined && { traceparent }),
  };
}

/**
 * What a key was used for before has to be the same request.
 *
 * @param {Order} order of that request @param {NewOrder} wanted
 */
export function sameOrder(order, { customer, total }) {
  if (order.customer === customer && order.total === total) return order;
  throw new OrderError(422, 'key_reused', 'This Idempotency-Key belongs to another order.');
}

/** @param {string} id */
export function notFound(id) {
  return new OrderError(404, 'not_found', `There is no order ${id}.`);
}

/** @param {string} id */
export function alreadyPaid(id) {
  return new OrderError(409, 'already_paid', `Order ${id} is paid.`);
}

/** @param {string} message */
function invalid(message) {
  return new OrderError(400, 'invalid_order', message);
}
