"""A small client of the simulator, for its own tests and for trying things by hand:

    /usr/bin/python3 client.py DIR "SELECT id, itemid FROM item FETCH FIRST 3 ROWS ONLY"
"""

import http.client
import json
import os
import secrets
import ssl
import sys
import time
import urllib.parse

import jwt

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"
SUITEQL_PATH = "/services/rest/query/v1/suiteql"


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    @property
    def detail(self):
        return self.json()["o:errorDetails"][0]["detail"]

    @property
    def code(self):
        return self.json()["o:errorDetails"][0]["o:errorCode"]


class Client:
    def __init__(self, folder):
        with open(os.path.join(folder, "sim.json"), encoding="utf-8") as file:
            self.sim = json.load(file)
        self.context = ssl.create_default_context(cafile=self.sim["ca_file"])
        self.token = None
        self.connections = {}

    def connect(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port, context=self.context, timeout=60)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def request(self, method, path, body=None, headers=None, base="url", keep=False):
        url = self.sim[base]
        connection = self.connections.get(url) if keep else None
        if connection is None:
            connection = self.connect(url)
        connection.request(method, path, body, headers or {})
        reply = Reply(connection.getresponse())
        if keep:
            self.connections[url] = connection
        else:
            connection.close()
        return reply

    def close(self):
        for connection in self.connections.values():
            connection.close()

    # -- tokens ----------------------------------------------------------------

    def assertion(self, key="", algorithm="ES256", kid=None, header=None, base="url", **claims):
        with open(self.sim[key + "private_key_file"], "rb") as file:
            pem = file.read()
        now = int(time.time())
        body = {"iss": self.sim["client_id"], "scope": ["rest_webservices"], "aud": self.sim[base] + TOKEN_PATH,
                "iat": now, "exp": now + 300}
        body.update(claims)
        return jwt.encode({k: v for k, v in body.items() if v is not None}, pem, algorithm=algorithm,
                          headers=dict({"kid": kid or self.sim[key + "certificate_id"], "typ": "JWT"}, **header or {}))

    def ask_token(self, assertion, base="url", headers=None, **fields):
        form = {"grant_type": "client_credentials", "client_assertion": assertion,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
        form.update(fields)
        return self.request("POST", TOKEN_PATH, urllib.parse.urlencode({k: v for k, v in form.items() if v}),
                            dict({"Content-Type": "application/x-www-form-urlencoded"}, **headers or {}), base)

    def bearer(self, fresh=False):
        if self.token is None or fresh:
            self.token = self.ask_token(self.assertion()).json()["access_token"]
        return "Bearer " + self.token

    # -- SuiteQL -----------------------------------------------------------------

    def suiteql(self, text, params=None, limit=1000, offset=0, headers=None, base="url", query=None, keep=True):
        body = {"q": text}
        if params is not None:
            body["params"] = params
        sent = {"Authorization": self.bearer(), "Content-Type": "application/json", "Prefer": "transient"}
        sent.update(headers or {})
        path = SUITEQL_PATH + "?" + (query if query is not None else "limit=%d&offset=%d" % (limit, offset))
        return self.request("POST", path, json.dumps(body), {k: v for k, v in sent.items() if v}, base, keep)

    def rows(self, text, params=None):
        reply = self.suiteql(text, params)
        if reply.status != 200:
            raise AssertionError("%d %s -- %s" % (reply.status, reply.body[:600], self.last_reason()))
        items = reply.json()["items"]
        for item in items:
            assert item.pop("links") == []
        return items

    def value(self, text, params=None):
        row, = self.rows(text, params)
        return next(iter(row.values()), None)

    # -- token-based authentication ----------------------------------------------

    def tba(self, credentials, url, method="POST", **changes):
        oauth = {"oauth_consumer_key": self.sim["consumer_key"], "oauth_token": self.sim["token_id"],
                 "oauth_signature_method": "HMAC-SHA256", "oauth_timestamp": str(int(time.time())),
                 "oauth_nonce": secrets.token_hex(10), "oauth_version": "1.0"}
        oauth.update(changes)
        oauth["oauth_signature"] = credentials.signature(method, url, oauth)
        realm = self.sim["account_id"].upper()
        return "OAuth realm=\"%s\", " % realm + ", ".join(
            '%s="%s"' % (k, urllib.parse.quote(v, safe="-._~")) for k, v in oauth.items())

    # -- control -------------------------------------------------------------------

    def control(self, method, path, body=None):
        reply = self.request(method, path, json.dumps(body) if body is not None else None, base="control_url",
                             keep=True)
        if reply.status != 200:
            raise AssertionError("control %s: %s" % (path, reply.body))
        return reply.json()

    def fault(self, kind, **members):
        return self.control("POST", "/fault", dict(members, kind=kind))

    def setting(self, **changes):
        return self.control("POST", "/setting", changes)

    def sql(self, text, params=None):
        return self.control("POST", "/sql", {"sql": text, "params": params})["rows"]

    def log(self, service="suiteql"):
        return self.control("GET", "/log?service=" + service)

    def last_reason(self):
        entries = self.control("GET", "/log?limit=1")
        return entries[-1].get("reason") if entries else None


def main():
    client = Client(sys.argv[1])
    reply = client.suiteql(sys.argv[2], sys.argv[3:] or None)
    print(reply.status)
    try:
        print(json.dumps(reply.json(), indent=1, ensure_ascii=False))
    except ValueError:
        print(reply.body)
    if reply.status != 200:
        print(client.last_reason())


if __name__ == "__main__":
    main()
