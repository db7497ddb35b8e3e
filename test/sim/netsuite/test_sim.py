#!/usr/bin/python3
"""Tests of the rest of the simulator: who may come in, its services, its troubles, its end.

    /usr/bin/python3 test/sim/netsuite/test_sim.py && /usr/bin/python3 test/sim/netsuite/test_suiteql.py
"""

import gzip
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import jwt

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from auth import Credentials                # noqa: E402
from case import Case, client, setUpModule, tearDownModule     # noqa: E402, F401
from client import SUITEQL_PATH, TOKEN_PATH      # noqa: E402
from settings import Settings               # noqa: E402

FIXTURES = os.path.join(HERE, "..", "..", "..", "..", "shared", "research", "netsuite-fixtures", "recorded")


class Tokens(Case):
    def denied(self, reply, code, status=400):
        self.assertEqual((reply.status, reply.json()), (status, {"error": code}), client.last_reason())

    def test_good(self):
        for key, algorithms in (("", ["ES256"]), ("rsa_", ["PS256", "PS384", "PS512"])):
            for algorithm in algorithms:
                reply = client.ask_token(client.assertion(key, algorithm))
                self.assertEqual(reply.status, 200, client.last_reason())
                self.assertEqual(set(reply.json()), {"access_token", "expires_in", "token_type"})
        self.assertEqual(client.ask_token(client.assertion(scope="rest_webservices")).status, 200)
        for kind, algorithm in (("P384", "ES384"), ("P521", "ES512")):
            made = client.control("POST", "/key", {"kind": kind})
            client.sim.update({"new_" + k: v for k, v in made.items()})
            self.assertEqual(client.ask_token(client.assertion("new_", algorithm)).status, 200)

    def test_bad_assertions(self):
        now = int(time.time())
        good = client.assertion()
        for name, assertion, code in [
            ("RS256", client.assertion("rsa_", "RS256"), "invalid_grant"),
            ("none", jwt.encode({"iss": client.sim["client_id"]}, None, algorithm="none"), "invalid_grant"),
            ("weak", client.assertion("weak_", "PS256"), "invalid_grant"),
            ("expired certificate", client.assertion("expired_"), "invalid_grant"),
            ("kid", client.assertion(kid="nobody"), "invalid_grant"),
            ("another's key", client.assertion("unknown_", kid=client.sim["certificate_id"]), "invalid_grant"),
            ("key of another kind", client.assertion("rsa_", "PS256", kid=client.sim["certificate_id"]),
             "invalid_grant"),
            ("an hour", client.assertion(iat=now, exp=now + 3600), "invalid_grant"),
            ("over", client.assertion(iat=now - 400, exp=now - 100), "invalid_grant"),
            ("future", client.assertion(iat=now + 600, exp=now + 900), "invalid_grant"),
            ("text times", client.assertion(iat=str(now)), "invalid_grant"),
            ("aud", client.assertion(aud="https://example.com/token"), "invalid_grant"),
            ("aud list", client.assertion(aud=[client.sim["url"] + TOKEN_PATH]), "invalid_grant"),
            ("no aud", client.assertion(aud=None), "invalid_grant"),
            ("no iat", client.assertion(iat=None), "invalid_grant"),
            ("scope", client.assertion(scope=["everything"]), "invalid_scope"),
            ("no scope", client.assertion(scope=None), "invalid_scope"),
            ("mcp", client.assertion(scope=["mcp", "rest_webservices"]), "invalid_scope"),
            ("garbage", "a.b.c", "invalid_request"),
            ("signature", good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB"), "invalid_grant"),
        ]:
            with self.subTest(name):
                self.denied(client.ask_token(assertion), code)
        self.denied(client.ask_token(client.assertion(iss="0" * 64)), "invalid_client", 401)

    def test_bad_requests(self):
        good = client.assertion()
        self.denied(client.ask_token(good, grant_type="authorization_code"), "unsupported_grant_type")
        self.denied(client.ask_token(good, client_assertion_type="x"), "invalid_request")
        self.denied(client.ask_token(good, extra="1"), "invalid_request")
        self.denied(client.ask_token(""), "invalid_request")
        self.denied(client.ask_token(good, headers={"Authorization": "Basic eDp5"}), "invalid_request")
        self.denied(client.request("POST", TOKEN_PATH, "{}", {"Content-Type": "application/json"}), "invalid_request")

    def test_revoked_certificate(self):
        made = client.control("POST", "/key", {"kind": "P256"})
        client.sim.update({"new_" + k: v for k, v in made.items()})
        client.control("POST", "/certificate/revoke", {"certificate_id": made["certificate_id"]})
        self.denied(client.ask_token(client.assertion("new_")), "invalid_grant")

    def test_life(self):
        client.setting(token_life=0)
        client.bearer(fresh=True)
        reply = client.suiteql("SELECT id FROM item")
        self.assertEqual((reply.status, reply.code), (401, "INVALID_LOGIN"))
        self.assertEqual(reply.headers["www-authenticate"], 'Bearer realm="1234567_SB1", error="invalid_token", '
                                                            'error_description="Invalid login attempt."')
        client.setting(token_life=3600)
        client.bearer(fresh=True)
        self.assertEqual(client.suiteql("SELECT id FROM item").status, 200)
        client.control("POST", "/token", {})
        self.assertEqual(client.suiteql("SELECT id FROM item").status, 401)
        client.bearer(fresh=True)

    def test_scope_of_token(self):
        token = client.ask_token(client.assertion(scope=["restlets"])).json()["access_token"]
        self.assertEqual(client.suiteql("SELECT id FROM item", headers={"Authorization": "Bearer " + token}).status,
                         401)
        self.assertEqual(client.suiteql("SELECT id FROM item", headers={"Authorization": None}).status, 401)


class TokenBased(Case):
    def setUp(self):
        super().setUp()
        self.signer = Credentials(Settings())
        self.signer.consumer_secret = client.sim["consumer_secret"]
        self.signer.token_secret = client.sim["token_secret"]
        self.url = client.sim["url"] + SUITEQL_PATH + "?limit=7&offset=0"

    def ask(self, value, limit=7):
        return client.suiteql("SELECT id FROM item", limit=limit, headers={"Authorization": value}).status

    def test_signature(self):
        good = client.tba(self.signer, self.url)
        self.assertEqual(self.ask(good), 200, client.last_reason())
        self.assertEqual(self.ask(good), 401)
        self.assertIn("oauth_nonce", client.last_reason())

    def test_refused(self):
        for changes in ({"oauth_timestamp": "1000"}, {"oauth_token": "x"}, {"oauth_signature_method": "HMAC-SHA1"},
                        {"oauth_consumer_key": "x"}, {"oauth_nonce": ""}, {"oauth_version": "2.0"}):
            with self.subTest(changes):
                self.assertEqual(self.ask(client.tba(self.signer, self.url, **changes)), 401)
        self.assertEqual(self.ask(client.tba(self.signer, self.url), limit=8), 401)
        self.assertEqual(self.ask(client.tba(self.signer, self.url).replace("1234567_SB1", "1234567-sb1")), 401)


class Services(Case):
    def test_server_time(self):
        reply = client.request("GET", "/services/rest/system/v1/serverTime")
        self.assertRegex(reply.json()["serverTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_governance(self):
        headers = {"Authorization": client.bearer()}
        path = "/services/rest/system/v1/governanceLimits"
        self.assertEqual(client.request("GET", path, headers=headers).status, 403)
        client.setting(administrator=True)
        self.assertEqual(client.request("GET", path, headers=headers).json()["accountConcurrencyLimit"], 5)

    def test_concurrency(self):
        client.setting(concurrency_limit=2, latency_ms=300, retry_after="3")
        client.bearer()
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(client.suiteql("SELECT id FROM item", keep=False)))
                   for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        limited = [r for r in replies if r.status == 429]
        self.assertTrue(limited)
        self.assertEqual(limited[0].code, "CONCURRENCY_LIMIT_EXCEEDED")
        self.assertEqual(limited[0].json()["o:errorCode"], "USER_ERROR")
        self.assertEqual(limited[0].headers["retry-after"], "3")
        self.assertEqual(client.control("GET", "/counter")["limited"], len(limited))

    def test_keep_alive(self):
        client.suiteql("SELECT id FROM item")
        client.suiteql("SELECT id FROM item")
        first, second = client.log()[-2:]
        self.assertEqual(first["connection"], second["connection"])
        self.assertEqual(second["auth"], "bearer")

    def test_certificates_of_the_server(self):
        for name in ("expired_url", "wronghost_url"):
            with self.assertRaises(ssl.SSLCertVerificationError):
                client.request("GET", "/services/rest/system/v1/serverTime", base=name)

    def test_black_hole(self):
        port = int(client.sim["blackhole_url"].rsplit(":", 1)[1])
        with self.assertRaises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), 0.3)


class Troubles(Case):
    TEXT = "SELECT id, itemid, displayname FROM item WHERE id > 0 ORDER BY id"

    def body(self, **members):
        return client.suiteql(self.TEXT, headers=members.pop("headers", None))

    def test_status(self):
        for kind, status in (("401", 401), ("403", 403), ("429", 429), ("500", 500), ("502", 502), ("503", 503)):
            client.fault(kind, count=1)
            reply = self.body()
            self.assertEqual(reply.status, status)
            self.assertEqual(self.body().status, 200)
        client.fault("429", retry_after=7)
        self.assertEqual(self.body().headers["retry-after"], "7")
        client.fault("502")
        self.assertIn(b"<html>", self.body().body)
        client.fault("oauth_error", path="token", error="invalid_grant", description="x")
        self.assertEqual(client.ask_token(client.assertion()).json()["error"], "invalid_grant")

    def test_announce(self):
        client.control("POST", "/setting", {"announce": {"suiteql$": {"Sunset": "x", "Link": ["<a>; rel=b", "<c>; rel=d"]}}})
        self.assertEqual(self.body().headers["sunset"], "x")
        self.assertEqual(self.body().headers["link"], "<c>; rel=d")  # the last of two
        self.assertNotIn("sunset", client.ask_token(client.assertion()).headers)
        client.control("POST", "/reset", {})
        self.assertNotIn("sunset", self.body().headers)

    def test_matching(self):
        client.fault("500", table="customer", after=1)
        self.assertEqual(self.body().status, 200)
        self.assertEqual(client.suiteql("SELECT id FROM customer").status, 200)
        self.assertEqual(client.suiteql("SELECT id FROM customer").status, 500)
        self.assertEqual(client.suiteql("SELECT id FROM customer").status, 200)

    def test_broken_bodies(self):
        client.fault("torn")
        with self.assertRaises(ValueError):
            self.body().json()
        client.fault("cut")
        with self.assertRaises(Exception):
            client.suiteql(self.TEXT, keep=False)
        client.connections.clear()
        client.fault("invalid_utf8", column="displayname", row=3)
        with self.assertRaises(UnicodeDecodeError):
            self.body().body.decode("utf-8")
        client.fault("nul")
        self.assertEqual(self.body().json()["items"][0]["itemid"], "a\0b")
        client.fault("big_cell")
        self.assertEqual(len(self.body().json()["items"][0]["itemid"]), 2 * 1024 * 1024)
        client.fault("chunked")
        reply = self.body()
        self.assertEqual((reply.headers["transfer-encoding"], reply.json()["offset"]), ("chunked", 0))
        client.fault("content_type", value="text/html")
        self.assertEqual(self.body().headers["content-type"], "text/html")
        client.fault("gzip_bomb", megabytes=3)
        self.assertGreater(len(gzip.decompress(self.body().body)), 3000000)
        client.fault("without_items")
        self.assertNotIn("items", self.body().json())
        client.fault("wrong_count", value=3)
        self.assertEqual(self.body().json()["count"], 3)

    def test_paging_troubles(self):
        client.fault("stuck", count=0)
        self.assertEqual(self.body().body, client.suiteql(self.TEXT.replace("> 0", "> 100")).body)
        client.control("DELETE", "/fault")
        client.fault("duplicate", count=0, rows=2)
        first = client.suiteql(self.TEXT, limit=10).json()["items"]
        second = client.suiteql(self.TEXT, limit=10, offset=10).json()["items"]
        self.assertEqual(first[-2:], second[:2])
        client.control("DELETE", "/fault")
        client.fault("early_end")
        page = client.suiteql(self.TEXT, limit=10).json()
        self.assertFalse(page["hasMore"])
        self.assertGreater(page["totalResults"], 10)

    def test_token_expires(self):
        client.fault("expire_token", after=1)
        self.assertEqual([self.body().status, self.body().status], [200, 401])
        client.bearer(fresh=True)
        self.assertEqual(self.body().status, 200)

    def test_reset(self):
        client.fault("reset")
        with self.assertRaises(ConnectionError):
            client.suiteql(self.TEXT, keep=False)
        client.fault("reset_connect")
        with self.assertRaises((ConnectionError, ssl.SSLError)):
            client.suiteql(self.TEXT, keep=False)

    def test_hang(self):
        client.fault("hang")
        client.bearer()
        connection = client.connect(client.sim["url"])
        connection.timeout = 0.3
        connection.request("POST", SUITEQL_PATH, json.dumps({"q": self.TEXT}),
                           {"Authorization": client.bearer(), "Prefer": "transient",
                            "Content-Type": "application/json"})
        with self.assertRaises(TimeoutError):
            connection.getresponse()
        connection.close()
        deadline = time.monotonic() + 10
        while client.control("GET", "/counter")["in_flight"] and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(client.control("GET", "/counter")["in_flight"], 0)

    def test_drip(self):
        client.fault("drip", bytes=20000, interval_ms=1)
        self.assertEqual(self.body().json()["offset"], 0)

    def test_hang_at_connect(self):
        client.bearer()
        for kind in ("hang_connect", "hang_tls"):
            client.fault(kind, path="connect:https", seconds=5)
            connection = client.connect(client.sim["url"])
            connection.timeout = 0.3
            with self.assertRaises(TimeoutError):
                connection.request("GET", "/services/rest/system/v1/serverTime")
                connection.getresponse()
            connection.close()

    def test_recorded(self):
        path = os.path.join(FIXTURES, "21-suiteql-execute-suiteql-query-fetch-first-syntax.json")
        if not os.path.exists(path):
            self.skipTest("the recordings are not here")
        client.control("POST", "/recorded", {"file": path})
        with open(path, encoding="utf-8") as file:
            wanted = json.load(file)["response"]["body"]
        reply = client.suiteql("SELECT id, companyName FROM vendor WHERE id < 100 FETCH FIRST 5 ROWS ONLY")
        self.assertEqual(reply.json(), wanted)
        self.assertEqual(reply.headers["content-type"],
                         "application/vnd.oracle.resource+json; type=collection; charset=UTF-8")

    def test_deletes(self):
        client.control("POST", "/delete", {"table": "contact", "ids": [50002], "scriptid": "contact",
                                           "type": "Contact"})
        self.assertEqual(client.rows("SELECT id FROM contact WHERE id = 50002"), [])
        self.assertEqual(client.rows("SELECT type FROM deletedrecord WHERE recordid = 50002"), [{"type": "Contact"}])
        client.control("POST", "/delete", {"table": "contact", "ids": ["50003"], "tombstones": False})
        self.assertEqual(client.rows("SELECT id FROM contact WHERE id = 50003"), [])
        self.assertEqual(client.rows("SELECT type FROM deletedrecord WHERE recordid = 50003"), [])

    def modified(self, table, one):
        return client.rows("SELECT TO_CHAR(SYS_EXTRACT_UTC(lastmodifieddate), 'YYYY-MM-DD HH24:MI:SS') AS at FROM %s "
                           "WHERE id = %d" % (table, one))[0]["at"]

    def test_touch(self):
        client.control("POST", "/setting", {"clock_offset": 86400 * 400, "allowed_skew": 86400 * 500})
        client.control("POST", "/touch", {"table": "customer", "ids": [1001], "set": {"companyname": "Renamed 100%"}})
        client.control("POST", "/delete", {"table": "contact", "ids": [50004]})
        client.control("POST", "/setting", {"clock_offset": 0})
        ahead = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 86400 * 400))
        self.assertEqual(self.modified("customer", 1001)[:16], ahead)
        self.assertEqual(client.rows("SELECT companyname FROM customer WHERE id = 1001"), [{"companyname": "Renamed 100%"}])
        gone = client.rows("SELECT TO_CHAR(SYS_EXTRACT_UTC(deleteddate), 'YYYY-MM-DD HH24:MI') AS at FROM deletedrecord "
                           "WHERE recordid = 50004")
        self.assertEqual(gone, [{"at": ahead}])

    def test_change(self):
        for kind, seen in (("change", ["old", "new", "new"]), ("change_after", ["old", "old", "new"])):
            client.control("POST", "/sql", {"sql": "UPDATE netsuite.vendor SET comments = 'old' WHERE id = 2"})
            client.control("POST", "/fault", {"kind": kind, "after": 1, "table": "vendor", "run": [
                "UPDATE netsuite.vendor SET comments = 'new' WHERE id = 2"]})
            found = [client.rows("SELECT comments FROM vendor WHERE id = 2")[0]["comments"] for _ in range(3)]
            self.assertEqual(found, seen)


class Prepared(Case):
    """Pages out of memory are the pages of the ordinary way."""

    LIST = ("SELECT t.id, t.itemid, t.cost, t.displayname AS \"Name\", TO_CHAR(t.createddate, 'YYYY-MM-DD') AS "
            "createddate FROM item t")

    def test_same_bytes(self):
        cases = [("%s WHERE t.id > %d ORDER BY t.id", (7,)),
                 ("%s WHERE t.id > %d AND t.id <= %d ORDER BY t.id", (7, 90)),
                 ("%s ORDER BY t.id", ()), ("%s WHERE t.id > %d ORDER BY t.id", (-1000,)),
                 ("%s WHERE t.isinactive = 'F' AND t.cost > %d AND t.id >= %d ORDER BY t.id", (5, 20)),
                 ("%s WHERE t.id > %d ORDER BY t.id FETCH FIRST 30 ROWS ONLY", (5,)),
                 ("%s WHERE t.id > %d ORDER BY t.id", (999999,))]
        for form, values in cases:
            text = form % ((self.LIST,) + values)
            for limit, offset in ((10, 0), (10, 20), (1000, 0)):
                plain = client.suiteql(text, limit=limit, offset=offset)
                self.assertTrue(client.control("POST", "/bench", {"q": text})["ready"], text)
                self.assertEqual(client.suiteql(text, limit=limit, offset=offset).body, plain.body, text)
                client.control("POST", "/bench", {"off": True})

    def test_parameters(self):
        text = self.LIST + " WHERE t.id > ? AND t.id <= ? ORDER BY t.id"
        plain = client.suiteql(text, ["5", "50"]).body
        client.control("POST", "/bench", {"q": text, "params": ["5", "50"]})
        self.assertEqual(client.suiteql(text, ["5", "50"]).body, plain)
        self.assertEqual(client.suiteql(text, ["5", "50"], headers={"Accept-Encoding": "gzip"}).headers[
            "content-encoding"], "gzip")
        client.control("POST", "/bench", {"off": True})

    def test_forgets(self):
        text = self.LIST + " WHERE t.id > 0 ORDER BY t.id"
        client.control("POST", "/bench", {"q": text})
        client.sql("UPDATE netsuite.item SET itemid = 'changed' WHERE id = 1")
        self.assertEqual(client.rows(text)[0]["itemid"], "changed")
        client.control("POST", "/bench", {"off": True})


class Life(unittest.TestCase):
    """It leaves nothing behind, however it ends."""

    def start(self):
        place = tempfile.mkdtemp(prefix="makini-test-")
        self.addCleanup(shutil.rmtree, place)
        started = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "sim.py"), "--dir", place, "--scale",
                                    "0.1"], stdout=subprocess.PIPE)
        started.stdout.readline()
        self.addCleanup(started.stdout.close)
        with open(os.path.join(place, "sim.json"), encoding="utf-8") as file:
            return started, json.load(file)

    def gone(self, values):
        deadline = time.monotonic() + 20
        while os.path.exists(values["private_dir"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(os.path.exists(values["private_dir"]))
        with self.assertRaises(ProcessLookupError):
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                os.kill(values["postgres_pid"], 0)
                time.sleep(0.05)

    def test_parent_dies(self):
        place = tempfile.mkdtemp(prefix="makini-test-")
        self.addCleanup(shutil.rmtree, place)
        parent = subprocess.Popen(["/bin/sh", "-c", "/usr/bin/python3 %s --dir %s --scale 0.1 & wait" % (
            os.path.join(HERE, "sim.py"), place)], stdout=subprocess.PIPE)
        parent.stdout.readline()
        self.addCleanup(parent.stdout.close)
        with open(os.path.join(place, "sim.json"), encoding="utf-8") as file:
            values = json.load(file)
        parent.kill()
        parent.wait(30)
        self.gone(values)

    def test_killed(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            started, values = self.start()
            started.send_signal(number)
            started.wait(30)
            self.gone(values)


if __name__ == "__main__":
    unittest.main()
