"""What sending webhooks costs, in a cluster of its own with fsync on and the
background worker: one endpoint, signed, to a receiver on this machine.

    deliveries  events raised beforehand, then sent: deliveries a second, held against
                a client that only sends (bare_post.c), and the last tenth against
                the first
    stream      the same while events are raised, and how large the tables of what is
                to be sent have become meanwhile
    latency     from the emit() to the request's arrival: 100 events a second, one
                a transaction; and one after another
    isolation   the same of 97 endpoints beside three of which one hangs for 30 s,
                one answers 500 and one resets, with 20 events a second

Prints a line a figure.  MAKINI_BENCH_EVENTS (100000) is how many.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request

import psycopg2

EVENTS = int(os.environ.get("MAKINI_BENCH_EVENTS", 100000))
BODY = '{"order": 17, "customer": "Example Ltd", "lines": [{"item": 1, "quantity": 12}, {"item": 2, "quantity": 5}], "note": "' + "x" * 150 + '"}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    def __init__(self, directory):
        program = os.path.join(directory, "receiver")
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-Isrc", "-o", program, "test/sim/receiver/receiver.c",
                        "src/webhook/sign.c", "-lssl", "-lcrypto"], check=True)
        self.process = subprocess.Popen([program, directory])
        path = os.path.join(directory, "receiver.json")
        while not os.path.exists(path):
            time.sleep(0.02)
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        self.url = f"http://127.0.0.1:{values['port']}/bench"
        self.control = f"http://127.0.0.1:{values['control_port']}"

    def call(self, method, path, content=""):
        request = urllib.request.Request(self.control + path, method=method, data=content.encode())
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def count(self, path="bench"):
        return json.loads(self.call("GET", "/count/" + path))

    def latency(self, path="bench"):
        return json.loads(self.call("GET", "/latency/" + path))

    def wait_for(self, n, seconds=300):
        end = time.time() + seconds
        while self.count()["requests"] < n:
            if time.time() > end:
                raise SystemExit(f"only {self.count()} of {n} arrived")
            time.sleep(0.02)


class Cluster:
    def __init__(self, directory):
        self.data = os.path.join(directory, "data")
        subprocess.run(["initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{directory}'\n"
                       "shared_preload_libraries = 'makini'\nmakini.allow_http = on\n"
                       "makini.allowed_private_hosts = '127.0.0.0/8'\nshared_buffers = 512MB\nmax_wal_size = 4GB\n"
                       "max_worker_processes = 16\n")
        self.control("-l", os.path.join(directory, "log"), "start")
        self.dsn = f"host={directory} user=postgres dbname=postgres"

    def control(self, *words):
        subprocess.run(["pg_ctl", "-D", self.data, "-w", "-s", *words], check=True, stdout=subprocess.DEVNULL)

    def connect(self):
        conn = psycopg2.connect(self.dsn)
        conn.autocommit = True
        return conn.cursor()


def emit(cur, n):
    cur.execute("SELECT count(makini.emit('bench.event', %s)) FROM generate_series(1, %s)", (BODY, n))


def bare(directory, receiver):
    program = os.path.join(directory, "bare_post")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-o", program, "test/bench/bare_post.c", "-lcurl"], check=True)
    receiver.call("POST", "/script/bare", "log=0\n")
    out = subprocess.run([program, receiver.url.replace("/bench", "/bare"), str(EVENTS), BODY], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    receiver.call("DELETE", "/log")
    return float(out)


def deliveries(cur, receiver, bare_rate):
    cur.execute("SELECT makini.disable_webhook(webhook_id) FROM makini.webhook")
    for _ in range(EVENTS // 10000):
        emit(cur, 10000)
    cur.execute("CHECKPOINT")
    receiver.call("DELETE", "/log")
    cur.execute("SELECT makini.enable_webhook(webhook_id) FROM makini.webhook")
    times = [time.time()]
    for tenth in range(1, 11):
        receiver.wait_for(EVENTS // 10000 * 10000 * tenth // 10)
        times.append(time.time())
    count = receiver.count()
    per_second = count["requests"] / (count["last_us"] - count["first_us"]) * 1e6
    print(f"deliveries      {per_second:9.0f} /s   a backlog of {count['requests']}, "
          f"{count['requests'] - count['distinct']} twice; {per_second / bare_rate:.2f} x the {bare_rate:.0f} /s of a bare client; last tenth {(times[1] - times[0]) / (times[10] - times[9]):.2f} x the first")


def stream(cur, receiver):
    receiver.call("DELETE", "/log")
    n = min(EVENTS, 50000)
    for _ in range(n // 500):
        emit(cur, 500)
    receiver.wait_for(n // 500 * 500)
    count = receiver.count()
    per_second = count["requests"] / (count["last_us"] - count["first_us"]) * 1e6
    cur.execute("SELECT sum(pg_total_relation_size(t)) / 1024 / 1024 FROM unnest('{makini._event,makini._delivery}'::regclass[]) t")
    hot = cur.fetchone()[0]
    print(f"stream          {per_second:9.0f} /s   while {count['requests']} events are raised, 500 a transaction;"
          f" {hot:.0f} MB of tables for what is to be sent")


def latency(cur, receiver, name, pause, n):
    receiver.call("DELETE", "/log")
    for i in range(n):
        emit(cur, 1)
        if pause:
            time.sleep(pause)
        else:
            while receiver.count()["requests"] <= i:
                pass
    receiver.wait_for(n)
    got = receiver.latency()
    print(f"{name:16s}{got['p50_us'] / 1000:9.1f} ms  p50; p99 {got['p99_us'] / 1000:.1f} ms, most {got['max_us'] / 1000:.1f} ms of {got['n']}")


def isolation(cur, receiver):
    bad = {"hang": "delay_ms=30000\nlog=0\n", "fail": "status=500\nlog=0\n", "reset": "reset=1\nlog=0\n"}
    good = [f"good{n}" for n in range(97)]
    for path in [*bad, *good]:
        receiver.call("POST", "/script/" + path, bad.get(path, "log=0\n"))
        cur.execute("SELECT count(*) FROM makini.create_webhook(%s, events => '{many.*}')",
                    (receiver.url.replace("/bench", "/" + path),))
    for _ in range(100):
        cur.execute("SELECT makini.emit('many.event', %s)", (BODY,))
        time.sleep(0.05)
    while min(receiver.count(path)["requests"] for path in good) < 100:
        time.sleep(0.1)
    got = [receiver.latency(path) for path in good]
    worst = max(got, key=lambda one: one["p99_us"])
    print(f"isolation       {worst['p99_us'] / 1000:9.1f} ms  p99 of the slowest of 97 beside three that hang, fail and reset; "
          f"p50 {sorted(one['p50_us'] for one in got)[48] / 1000:.1f} ms; "
          f"twice {sum(receiver.count(path)['requests'] for path in good) - 9700}")


def main():
    directory = tempfile.mkdtemp(prefix="makini-bench-")
    receiver = Receiver(directory)
    cluster = Cluster(directory)
    try:
        cur = cluster.connect()
        cur.execute("CREATE EXTENSION makini")
        receiver.call("POST", "/script/bench", "log=0\n")
        cur.execute("SELECT count(*) FROM makini.create_webhook(%s, secret => %s)", (receiver.url, SECRET))
        emit(cur, 100)
        receiver.wait_for(100)
        latency(cur, receiver, "latency", 0.01, 1000)
        latency(cur, receiver, "back to back", 0, 300)
        stream(cur, receiver)
        deliveries(cur, receiver, bare(directory, receiver))
        isolation(cur, receiver)
    finally:
        cluster.control("-m", "immediate", "stop")
        receiver.process.kill()
        shutil.rmtree(directory)


main()
