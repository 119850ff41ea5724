"""The orders in PostgreSQL. Each change writes the order and its event in one transaction: both are there or none.

The event is a row of the table `tidemark_outbox` (PROTOCOL.md, section 15), written with plain SQL.
The tables are those of the service in ../order-service, which makes them.
"""

import json
import uuid

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

COLUMNS = "id, version, status, customer, total"

CONNECTIONS_MAX = 10
# How long a request may wait for a connection, a lock or a statement.
CONNECT_SECONDS = 5
OPTIONS = "-c lock_timeout=5s -c statement_timeout=10s"


class OrderError(Exception):
    """An error with an answer of its own: a status of HTTP, a code for programs, a message for people."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.code = code


class Orders:
    """Its methods are called by several threads. `key` is chosen by the client: the same request sent again has no
    second effect."""

    def __init__(self, url):
        options = {"row_factory": dict_row, "options": OPTIONS, "connect_timeout": CONNECT_SECONDS}
        self._pool = ConnectionPool(
            url,
            kwargs=options,
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_SECONDS,
            # A connection that broke while nobody used it is replaced before it is handed out.
            check=ConnectionPool.check_connection,
            # Longer tries would be made ever more rarely. After this time the next request begins a new one.
            reconnect_timeout=CONNECT_SECONDS,
            open=True,
        )

    def place(self, key, customer, total, traceparent=None):
        """Returns the new order, or the one that this key has made. Raises OrderError `key_reused`."""
        # Leaving the block commits; an exception rolls back.
        with self._pool.connection() as db:
            # Waits for a transaction with the same key that is under way.
            order = db.execute(
                "INSERT INTO orders (id, version, status, customer, total, place_key)"
                " VALUES (%s, 1, 'placed', %s, %s, %s)"
                f" ON CONFLICT (place_key) DO NOTHING RETURNING {COLUMNS}",
                (str(uuid.uuid4()), customer, total, key),
            ).fetchone()
            if order is None:
                return _placed_by(db, key, customer, total)
            _add_event(db, order, traceparent)
            return order

    def pay(self, key, id, traceparent=None):
        """Raises OrderError `not_found`, and `already_paid` where it was paid with another key."""
        with self._pool.connection() as db:
            # The lock puts the changes of one order one after the other. The event is added while it is held, so
            # that the events of the order have the order of its versions.
            row = db.execute("SELECT pay_key FROM orders WHERE id = %s FOR UPDATE", (id,)).fetchone()
            if row is None:
                raise not_found(id)
            if row["pay_key"] == key:
                return _read(db, id)
            if row["pay_key"] is not None:
                raise OrderError(409, "already_paid", f"Order {id} is paid.")
            order = db.execute(
                "UPDATE orders SET status = 'paid', version = version + 1, pay_key = %s"
                f" WHERE id = %s RETURNING {COLUMNS}",
                (key, id),
            ).fetchone()
            _add_event(db, order, traceparent)
            return order

    def find(self, id):
        """Raises OrderError `not_found`."""
        with self._pool.connection() as db:
            return _read(db, id)

    def close(self):
        self._pool.close()


def not_found(id):
    return OrderError(404, "not_found", f"There is no order {id}.")


def _add_event(db, order, traceparent):
    """Whoever reads the event knows by its version which state has it already."""
    attributes = None if traceparent is None else json.dumps({"traceparent": traceparent})
    db.execute(
        "INSERT INTO tidemark_outbox (topic, type, source, data, attributes) VALUES (%s, %s, %s, %s, %s)",
        (
            f"orders.{order['id']}",
            f"order.{order['status']}",
            "/order-service",
            json.dumps(order),
            attributes,
        ),
    )


def _placed_by(db, key, customer, total):
    order = db.execute(f"SELECT {COLUMNS} FROM orders WHERE place_key = %s", (key,)).fetchone()
    if (order["customer"], order["total"]) != (customer, total):
        raise OrderError(422, "key_reused", "This Idempotency-Key belongs to another order.")
    return order


def _read(db, id):
    order = db.execute(f"SELECT {COLUMNS} FROM orders WHERE id = %s", (id,)).fetchone()
    if order is None:
        raise not_found(id)
    return order
