"""Listens with httpx-sse: `httpx_sse_client.py <url> <token> [default]`, where `default` leaves the timeouts as they are.

It does not come back by itself; the loop does.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

url, token, *default = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}"}

# The default of 5 s is shorter than the time between two heartbeats.
options = {} if default else {"timeout": httpx.Timeout(5, read=45)}

with httpx.Client(**options) as client:
    while True:
        try:
            with connect_sse(client, "GET", url, headers=headers) as source:
                source.response.raise_for_status()
                for sse in source.iter_sse():
                    # Every block has an id, also those that tell of an error.
                    headers["Last-Event-ID"] = sse.id
                    line = {"id": sse.id, "event": sse.event, "data": sse.data}
                    print(json.dumps(line), flush=True)
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
