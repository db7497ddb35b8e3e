"""Prints what the receiver of the tour got: the first request of each type, with
its signature, verified as any receiver would. Fails when one is missing or false.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import urllib.request

WANTED = ["sync.completed", "stock.low", "connection.auth_required"]


def headers_of(head):
    pairs = (line.partition(":") for line in head.split("\r\n")[1:] if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


def is_genuine(headers, body):
    """Standard Webhooks: any of the signatures may be right."""
    key = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, one) for one in headers["webhook-signature"].split(" "))


def main():
    with urllib.request.urlopen(os.environ["DEMO_INBOX_LOG"]) as log:
        requests = [json.loads(line) for line in log.read().decode().splitlines()]
    genuine = set()
    for kind in WANTED:
        found = [r for r in requests if json.loads(r["body"])["type"] == kind]
        if not found:
            continue
        headers, body = headers_of(found[0]["head"]), found[0]["body"]
        if is_genuine(headers, body):
            genuine.add(kind)
        print()
        print(f"POST {found[0]['head'].split()[1]}")
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            print(f"{name}: {headers[name]}")
        print(f"    the signature is {'right' if kind in genuine else 'WRONG'}")
        print(json.dumps(json.loads(body), indent=4))
    sys.exit(0 if genuine == set(WANTED) else 1)


main()
