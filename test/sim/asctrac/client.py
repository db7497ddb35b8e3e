#!/usr/bin/python3
"""A client of the simulator, for its tests and for looking around.

    /usr/bin/python3 client.py DIR GET '/api/InventoryAudit?aVMICustID=&aSiteID=&aItemID='
    /usr/bin/python3 client.py DIR rest GET '/api/COSched?aOrderNumber=SO050001&aSiteID=1&aUserID=x'
"""

import http.client
import json
import os
import ssl
import sys
import urllib.parse


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json()["Message"]


class Client:
    def __init__(self, folder):
        with open(os.path.join(folder, "sim.json"), encoding="utf-8") as file:
            self.sim = json.load(file)
        self.context = ssl.create_default_context(cafile=self.sim["ca_file"])

    def request(self, base, method, target, body=None, headers=None, token=True):
        url = urllib.parse.urlsplit(self.sim[base])
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(url.netloc, context=self.context, timeout=60)
        else:
            connection = http.client.HTTPConnection(url.netloc, timeout=60)
        given = {"Accept": "application/json"}
        if token:
            given["Authorization"] = "Bearer " + (token if isinstance(token, str) else self.sim["token"])
        if body is not None:
            given["Content-Type"] = "application/json"
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
            body = body.encode() if isinstance(body, str) else body
        given.update(headers or {})
        connection.request(method, target, body, {k: v for k, v in given.items() if v is not None})
        answer = connection.getresponse()
        try:
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, target, **more):
        return self.request("url", "GET", target, **more)

    def put(self, target, body, **more):
        return self.request("url", "PUT", target, body, **more)

    def post(self, target, body, **more):
        return self.request("url", "POST", target, body, **more)

    def rest(self, target, method="GET", body=None, **more):
        return self.request("rest_url", method, target, body, token=False, **more)

    def control(self, method, target, body=None):
        reply = self.request("control_url", method, target, body, token=False)
        if reply.status != 200:
            raise RuntimeError(reply.body.decode())
        return reply.json()

    def data(self, target, method="GET", body=None):
        """The payload of an envelope, parsed where it is JSON."""
        envelope = self.rest(target, method, body).json()
        text = envelope["DataMessage"]
        return json.loads(text) if envelope["successful"] and text[:1] in "[{" else envelope


if __name__ == "__main__":
    words = sys.argv[2:]
    which = "url"
    if words[0] == "rest":
        which, words = "rest_url", words[1:]
    reply = Client(sys.argv[1]).request(which, *words)
    print(reply.status, reply.headers, reply.body.decode(), sep="\n")
