"""What events cost those who raise them.

    enqueue   one emit() a transaction, 100,000 transactions; held against the same
              transactions without it, in the first quarter and in the last
    notify    40 writers, each transaction with an event, with makini.notify =
              after, with, off; held against 40 without an event
    rule      an UPDATE of 100,000 rows and 20,000 of one row, of a table with a
              rule that does not fire; held against the same without a rule

Prints a line a figure.  Seconds of each measurement of writers:
MAKINI_BENCH_SECONDS (10).
"""

import os
import re
import subprocess
import tempfile
import time

import psycopg2

SECONDS = int(os.environ.get("MAKINI_BENCH_SECONDS", 10))
COMMITS = 100000
PLAIN = "INSERT INTO bench_event.log (n) VALUES (1);"
EMITS = ("WITH e AS (SELECT makini.emit('bench.event', '{\"order\": 17, \"status\": \"late\"}') AS id)"
         " INSERT INTO bench_event.log (n, event) SELECT 1, id FROM e;")


def connect():
    conn = psycopg2.connect("")
    conn.autocommit = True
    return conn


def prepare(cur):
    cur.execute("CREATE EXTENSION IF NOT EXISTS makini")
    cur.execute("DROP SCHEMA IF EXISTS bench_event CASCADE")
    cur.execute("CREATE SCHEMA bench_event")
    cur.execute("CREATE TABLE bench_event.log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, event uuid)")
    cur.execute("CREATE TABLE bench_event.stock (id int PRIMARY KEY, n int)")
    cur.execute("INSERT INTO bench_event.stock SELECT i, 100 FROM generate_series(1, 100000) i")


def pgbench(script, *options, settings=""):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        return subprocess.run(["pgbench", "-n", "-M", "prepared", "-f", file.name, *options], check=True, text=True,
                              env={**os.environ, "PGOPTIONS": settings}, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout


def latency(script, commits):
    return float(re.search(r"latency average = ([\d.]+) ms", pgbench(script, "-c", "1", "-t", str(commits))).group(1))


def rate(script, settings=""):
    out = pgbench(script, "-c", "40", "-j", "2", "-T", str(SECONDS), settings=settings)
    return float(re.search(r"tps = ([\d.]+)", out).group(1))


def enqueue():
    # by turns, so that what else the machine does falls on both
    quarters = [(latency(PLAIN, COMMITS // 4), latency(EMITS, COMMITS // 4)) for _ in range(4)]
    plain, mean = (sum(column) / 4 for column in zip(*quarters))
    first, last = (quarters[n][1] / quarters[n][0] for n in (0, 3))
    print(f"enqueue    {mean * 1000:.0f} us a commit with an event, {plain * 1000:.0f} without:"
          f" {mean / plain:.2f} x; the last quarter of {COMMITS} {last:.2f} x, the first {first:.2f} x")


def notify():
    plain = rate(PLAIN)
    for mode in ("after", "with", "off"):
        events = rate(EMITS, f"-c makini.notify={mode}")
        print(f"notify     {mode:5} {events:.0f} tps of 40 writers, {plain:.0f} without events: {events / plain:.2f} x")


def timed(cur, statement):
    started = time.monotonic()
    cur.execute(statement)
    return time.monotonic() - started


def rule(cur):
    many = "UPDATE bench_event.stock SET n = n + 1"
    single = ("DO $$ BEGIN FOR i IN 1..20000 LOOP UPDATE bench_event.stock SET n = n + 1 WHERE id = i;"
              " END LOOP; END $$")
    timed(cur, many)
    cur.execute("VACUUM ANALYZE bench_event.stock")
    without = timed(cur, many), timed(cur, single)
    cur.execute("SELECT makini.create_rule('bench', 'bench_event.stock', 'NEW.n < 10', 'bench.low')")
    cur.execute("VACUUM bench_event.stock")
    ruled = timed(cur, many), timed(cur, single)
    print(f"rule       100,000 rows {ruled[0] * 1000:.0f} ms, {without[0] * 1000:.0f} without:"
          f" {ruled[0] / without[0]:.2f} x; one row {ruled[1] * 50:.0f} us, {without[1] * 50:.0f} without")


def main():
    cur = connect().cursor()
    prepare(cur)
    enqueue()
    notify()
    rule(cur)
    cur.execute("SET client_min_messages = warning")
    cur.execute("SELECT makini.drop_rule('bench')")
    cur.execute("DROP SCHEMA bench_event CASCADE")
    cur.execute("DELETE FROM makini._event WHERE type = 'bench.event'")


main()
