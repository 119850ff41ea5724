"""The order service of ../order-service in Python, over the same tables: POST /orders, POST /orders/<id>/pay and
GET /orders/<id>. Settings: DATABASE_URL (`postgres://…`) and PORT.

    pip install -r requirements.txt
    DATABASE_URL=postgres://… python3 main.py

The server of the standard library keeps this short. What is to be copied is orders.py, which any framework can call.
"""

import json
import os
import re
import signal
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from orders import OrderError, Orders

BODY_BYTES_MAX = 16 * 1024
CUSTOMER_LENGTH_MAX = 100
TOTAL_MAX = 1_000_000_00
KEY_LENGTH_MAX = 200
# A client that sends nothing for so long is not waited for.
SOCKET_SECONDS = 5
# Each connection has a thread; further ones wait in the kernel.
THREADS_MAX = 100

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Handler(BaseHTTPRequestHandler):
    """Each error is answered with {code, message, retryable}, and has changed nothing."""

    protocol_version = "HTTP/1.1"
    timeout = SOCKET_SECONDS
    orders: Orders

    def do_GET(self):
        self._answer(self._get)

    def do_POST(self):
        self._answer(self._post)

    def _get(self):
        match = re.fullmatch(r"/orders/([^/?]+)", self.path)
        if match is None:
            raise OrderError(404, "not_found", f"There is no GET {self.path}.")
        return 200, self.orders.find(match[1])

    def _post(self):
        # Read in any case, so that the connection can serve the next request.
        body = self._body()
        match = re.fullmatch(r"/orders(?:/([^/?]+)/pay)?", self.path)
        if match is None:
            raise OrderError(404, "not_found", f"There is no POST {self.path}.")
        key, traceparent = self._key(), self._traceparent()
        if match[1] is not None:
            return 200, self.orders.pay(key, match[1], traceparent)
        customer, total = read_new_order(body)
        return 201, self.orders.place(key, customer, total, traceparent)

    def _answer(self, handle):
        try:
            status, body = handle()
        except TimeoutError:
            # The client is too slow; the server closes the connection.
            raise
        except Exception as error:
            error = as_order_error(error)
            status = error.status
            body = {"code": error.code, "message": str(error), "retryable": status >= 500}
        self._send(status, body)

    def send_error(self, code, message=None, explain=None):
        """The library calls this for what is no HTTP, or has another method."""
        self.close_connection = True
        message = message or "The request cannot be read."
        self._send(code, {"code": "invalid_request", "message": message, "retryable": False})

    def _send(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status == 201:
            self.send_header("Location", f"/orders/{body['id']}")
        if status == 503:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def _body(self):
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            raise OrderError(400, "invalid_request", "A body needs a Content-Length.")
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            raise OrderError(413, "too_large", f"A body has at most {BODY_BYTES_MAX} bytes.")
        return self.rfile.read(int(length))

    def _key(self):
        key = self.headers.get("Idempotency-Key", "")
        if 1 <= len(key) <= KEY_LENGTH_MAX:
            return key
        message = f"The header Idempotency-Key is needed, with at most {KEY_LENGTH_MAX} characters."
        raise OrderError(400, "invalid_key", message)

    def _traceparent(self):
        """The trace that the request belongs to; one that is wrong is of no interest to the order."""
        header = self.headers.get("traceparent", "")
        return header if TRACEPARENT.fullmatch(header) else None

    def log_message(self, *_):
        """No line for each request."""


class Server(ThreadingHTTPServer):
    """Waits for the threads that answer before it ends, and has at most THREADS_MAX of them."""

    daemon_threads = False
    request_queue_size = 128
    _free = threading.Semaphore(THREADS_MAX)

    def process_request(self, request, client_address):
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


def read_new_order(body):
    try:
        order = json.loads(body)
    except (ValueError, RecursionError):
        raise OrderError(400, "invalid_request", "The request cannot be read.") from None
    customer, total = (order.get("customer"), order.get("total")) if isinstance(order, dict) else (None, None)
    if not isinstance(customer, str) or not 1 <= len(customer) <= CUSTOMER_LENGTH_MAX or not is_text(customer):
        message = f"`customer` is a text of 1 to {CUSTOMER_LENGTH_MAX} characters."
        raise OrderError(400, "invalid_order", message)
    # True and 1.0 are no integers of JSON.
    if type(total) is not int or not 1 <= total <= TOTAL_MAX:
        raise OrderError(400, "invalid_order", f"`total` is an integer from 1 to {TOTAL_MAX}, in cents.")
    return customer, total


def is_text(value):
    """PostgreSQL has no NUL in a text, and UTF-8 no half of a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def as_order_error(error):
    if isinstance(error, OrderError):
        return error
    if isinstance(error, psycopg.OperationalError):
        return OrderError(503, "unavailable", "The database does not answer. Send it again.")
    traceback.print_exception(error, file=sys.stderr)
    return OrderError(500, "internal", "A fault of the service.")


def main():
    if not os.environ.get("DATABASE_URL"):
        sys.exit("DATABASE_URL is needed, such as postgres://user:password@host/database.")
    Handler.orders = Orders(os.environ["DATABASE_URL"])
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8096"))), Handler)
    # `shutdown` waits for the loop of `serve_forever`, which a signal handler would keep from going on.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
    server.server_close()
    Handler.orders.close()


if __name__ == "__main__":
    main()
