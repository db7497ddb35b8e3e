"""How fast foreign scans are, held against what the network alone takes.

    scan     a table of 12 columns is read whole; curl fetches the same pages to
             nowhere in one process over one kept connection
    network  the same table with 200 ms added to each page and 4 in flight; held
             against 4 / latency pages a second
    lookup   500 look-ups by key, one after another; curl sends the same requests
    cancel   from pg_cancel_backend to the error, in a hung request

Prints a line a figure.  Rows: MAKINI_BENCH_ROWS (1,000,000).
"""

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

import jwt
import psycopg2

ENV = {k[len("MAKINI_SIM_"):].lower(): v for k, v in os.environ.items() if k.startswith("MAKINI_SIM_")}
ROWS = int(os.environ.get("MAKINI_BENCH_ROWS", 1000000))
PAGE = 1000
COLUMNS = ("id, tranid, type, trandate, entity, currency, exchangerate, foreigntotal, status, memo,"
           " voided, lastmodifieddate")


def control(path, body=None, method=None):
    data = json.dumps(body or {}).encode()
    request = urllib.request.Request(ENV["control_url"] + path, data, method=method or "POST")
    return json.loads(urllib.request.urlopen(request).read() or b"{}")


def token():
    now = int(time.time())
    url = ENV["http_url"] + "/services/rest/auth/oauth2/v1/token"
    with open(ENV["private_key_file"]) as key:
        assertion = jwt.encode({"iss": ENV["client_id"], "scope": ["rest_webservices"], "aud": url, "iat": now,
                                "exp": now + 300}, key.read(), "ES256", {"kid": ENV["certificate_id"]})
    body = ("grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:"
            "jwt-bearer&client_assertion=" + assertion)
    return json.loads(urllib.request.urlopen(url, body.encode()).read())["access_token"]


def connect():
    conn = psycopg2.connect("")
    conn.autocommit = True
    return conn


def prepare(conn, rows, **options):
    """A server, its table of transactions in schema "bench", and so many rows behind it."""
    cur = conn.cursor()
    cur.execute("CREATE EXTENSION IF NOT EXISTS makini")
    more = "".join(", %s '%s'" % item for item in options.items())
    cur.execute("DROP SERVER IF EXISTS bench CASCADE")
    cur.execute("CREATE SERVER bench FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id %s, base_url %s,"
                " allow_http 'true', allow_private 'true', fetch_ahead '4', max_concurrency '8'" + more + ")",
                (ENV["account_id"], ENV["http_url"]))
    cur.execute("CREATE USER MAPPING FOR CURRENT_USER SERVER bench OPTIONS (client_id %s, certificate_id %s,"
                " private_key_file %s)", (ENV["client_id"], ENV["certificate_id"], ENV["private_key_file"]))
    cur.execute("DROP SCHEMA IF EXISTS bench CASCADE")
    cur.execute("CREATE SCHEMA bench")
    cur.execute("IMPORT FOREIGN SCHEMA v1 LIMIT TO (transaction) FROM SERVER bench INTO bench OPTIONS (probe 'false',"
                " custom_fields 'false')")
    control("/setting", {"gzip": False, "concurrency_limit": 0, "latency_ms": 0})
    control("/bench", {"table": "transaction", "rows": rows})
    return cur


def remote_text(cur, sql):
    cur.execute("EXPLAIN (VERBOSE, COSTS OFF) " + sql)
    return next(line.split("SuiteQL: ", 1)[1] for (line,) in cur if "SuiteQL: " in line)


def curl(bearer, statements):
    """Seconds that one curl process takes to send these and throw the answers away."""
    url = ENV["http_url"] + "/services/rest/query/v1/suiteql?limit=1000&offset=0"
    with tempfile.NamedTemporaryFile("w", suffix=".curl") as config:
        for i, statement in enumerate(statements):
            body = json.dumps(json.dumps({"q": statement}))
            config.write('%surl = "%s"\noutput = "/dev/null"\nsilent\nheader = "Authorization: Bearer %s"\n'
                         'header = "Content-Type: application/json"\nheader = "Prefer: transient"\ndata = %s\n'
                         % ("next\n" if i else "", url, bearer, body))
        config.flush()
        started = time.monotonic()
        subprocess.run(["curl", "-q", "--noproxy", "*", "-K", config.name], check=True)
        return time.monotonic() - started


def timed(cur, sql):
    started = time.monotonic()
    cur.execute(sql)
    cur.fetchall()
    return time.monotonic() - started


def line(name, text):
    print("%-8s %s" % (name, text), flush=True)


def bench_scan(cur, bearer):
    scan = "SELECT %s FROM bench.transaction" % COLUMNS
    whole = "EXPLAIN (ANALYZE, TIMING OFF) " + scan
    text = remote_text(cur, scan)
    pages = [text.replace(" ORDER BY", " WHERE t.id > %d ORDER BY" % n) for n in range(0, ROWS, PAGE)]
    timed(cur, whole)
    curl(bearer, pages)
    ratios = []
    for _ in range(3):
        floor, ours = curl(bearer, pages), timed(cur, whole)
        ratios.append(ours / floor)
        line("scan", "%d rows x 12: curl %.2f s (%.0f rows/s), makini %.2f s (%.0f rows/s), ratio %.2f"
             % (ROWS, floor, ROWS / floor, ours, ROWS / ours, ratios[-1]))
    line("scan", "median ratio %.2f (bar: at most 5, aim 3)" % statistics.median(ratios))


def bench_network(cur):
    latency, flying, rows = 0.2, 4, min(ROWS, 300000)
    sql = "EXPLAIN (ANALYZE, TIMING OFF) SELECT %s FROM bench.transaction WHERE id <= %d" % (COLUMNS, rows)
    timed(cur, sql)             # the simulator makes its pages when it first sees their shape
    control("/setting", {"latency_ms": int(latency * 1000)})
    took = timed(cur, sql)
    control("/setting", {"latency_ms": 0})
    ideal = rows / PAGE * latency / flying
    line("network", "%d pages, %d in flight, %.0f ms each: ideal %.2f s, makini %.2f s, %.3f of the ideal rate"
         " (bar: 0.95)" % (rows / PAGE, flying, latency * 1000, ideal, took, ideal / took))


def bench_lookup(cur, bearer):
    lookup = "SELECT tranid FROM bench.transaction WHERE id = "
    text = remote_text(cur, lookup + "1")
    ids = [1 + 7 * n for n in range(500)]
    statements = [text.replace("= 1 ", "= %d " % n) for n in ids]
    sql = ("SELECT count(t.tranid) FROM generate_series(1, %d, 7) g(id) CROSS JOIN LATERAL"
           " (SELECT tranid FROM bench.transaction t WHERE t.id = g.id OFFSET 0) t" % ids[-1])
    ratios = []
    for _ in range(3):
        floor, ours = curl(bearer, statements), timed(cur, sql)
        ratios.append(ours / floor)
    line("lookup", "500 by key: curl %.3f s, makini %.3f s, median ratio %.2f (bar: 1.1)"
         % (floor, ours, statistics.median(ratios)))


def bench_cancel(cur):
    took = []
    cur.execute("SELECT pg_backend_pid()")
    pid = cur.fetchone()[0]
    other = connect().cursor()
    for _ in range(20):
        control("/fault", {"kind": "hang", "count": 1})
        started = []

        def cancel():
            while True:
                other.execute("SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = %s", (pid,))
                if other.fetchone()[0]:
                    break
            started.append(time.monotonic())
            other.execute("SELECT pg_cancel_backend(%s)", (pid,))

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            cur.execute("SELECT id FROM bench.transaction WHERE id = 1")
        except psycopg2.errors.QueryCanceled:
            took.append((time.monotonic() - started[0]) * 1000)
        canceller.join()
        control("/fault", method="DELETE")
    if took:
        line("cancel", "in a hung request: median %.1f ms, worst %.1f ms of %d (bar: 100 ms)"
             % (statistics.median(took), max(took), len(took)))


def main():
    conn = connect()
    cur = prepare(conn, ROWS)
    bearer = token()
    bench_scan(cur, bearer)
    bench_network(cur)
    bench_lookup(cur, bearer)
    bench_cancel(cur)


if __name__ == "__main__":
    main()
