#!/usr/bin/python3
"""A strict simulator of NetSuite: SuiteQL over REST, OAuth 2.0, token-based authentication, and its troubles.

Prints one line and writes DIR/sim.json when it is ready; ends with its parent or at SIGTERM.  See README.md.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from cryptography import x509                               # noqa: E402

from account import Account                                 # noqa: E402
from auth import Credentials                                # noqa: E402
from bench import Bench                                     # noqa: E402
from cluster import Cluster                                 # noqa: E402
from control import Control                                 # noqa: E402
from data import Generator                                  # noqa: E402
from faults import Faults                                   # noqa: E402
from process import Authority, begin, pairs, settings_of, tell      # noqa: E402
from server import Listener                                 # noqa: E402
from service import Service                                 # noqa: E402
from settings import Settings                               # noqa: E402
from suiteql import HELPERS, Engine                         # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", required=True, help="state directory; made when missing")
    parser.add_argument("--port", type=int, default=0, help="of the TLS listener")
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the sizes of all larger tables")
    parser.add_argument("--rows", default="", help="sizes by table: item=1000,transaction=5000")
    parser.add_argument("--setting", action="append", default=[], help="name=JSON value; see settings.py")
    parser.add_argument("--fault", action="append", default=[], help="a fault as JSON, armed from the start")
    parser.add_argument("--bench", default="", help="rows=1000000[,table=transaction]: fill a table, serve from memory")
    parser.add_argument("--recorded", help="a recorded exchange, served whenever its query comes")
    parser.add_argument("--pg-bindir", help="folder of initdb and postgres")
    parser.add_argument("--detach", action="store_true", help="outlive the parent process")
    return parser.parse_args()


def black_hole():
    """A port whose connects never finish: a full backlog that nobody empties."""
    trap = socket.socket()
    trap.bind(("127.0.0.1", 0))
    trap.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(trap.getsockname())
        fillers.append(filler)
    return trap, fillers


def reaper(folder, cluster_pid):
    """A child that outlives us by a moment: stops the cluster and removes its files however we ended."""
    readable, writable = os.pipe()
    if os.fork() == 0:
        os.close(writable)
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for descriptor in range(3, 256):
            if descriptor != readable:
                try:
                    os.close(descriptor)
                except OSError:
                    pass
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.read(readable, 1)
        try:
            os.kill(cluster_pid, signal.SIGQUIT)
        except ProcessLookupError:
            pass
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
    os.close(readable)
    return writable


def build(options, private):
    settings = Settings(**settings_of(options))
    log = os.path.join(options.dir, "postgres.log")
    open(log, "ab").close()
    cluster = Cluster(private, log, options.pg_bindir, settings["time_zone"])
    cluster.prepare()
    account = Account()
    generator = Generator(account, {k: int(v) for k, v in pairs(options.rows).items()}, options.scale)
    generator.generate()
    credentials = Credentials(settings)
    found = credentials.write_files(options.dir)
    cluster.start()
    alive = reaper(private, cluster.process.pid)
    cluster.run(HELPERS)
    connection = cluster.connect()
    generator.store(connection)
    connection.close()
    engine = Engine(account, settings, cluster)
    service = Service(engine, credentials, settings, Faults(), Bench(engine))
    service.initial_settings = dict(settings)
    service.alive = alive
    return service, cluster, found


def listen(options, service, cluster, authority):
    faults = service.faults
    other = [x509.DNSName("elsewhere.example.com")]
    listeners = [
        Listener("https", service.handle, authority.context("server"), options.port, faults),
        Listener("http", service.handle, None, options.http_port, faults),
        Listener("expired", service.handle, authority.context("expired", (-30, -2)), 0, faults),
        Listener("wronghost", service.handle, authority.context("wronghost", hosts=other), 0, faults),
        Listener("control", Control(service, cluster, options.dir).handle, None, options.control_port),
    ]
    service.listeners = listeners[:4]
    for listener in listeners:
        listener.start()
    trap, fillers = black_hole()
    service.kept = (trap, fillers)
    https, http, expired, wronghost, control = (l.port for l in listeners)
    return {
        "url": "https://localhost:%d" % https, "http_url": "http://127.0.0.1:%d" % http,
        "expired_url": "https://localhost:%d" % expired, "wronghost_url": "https://localhost:%d" % wronghost,
        "blackhole_url": "https://127.0.0.1:%d" % trap.getsockname()[1],
        "control_url": "http://127.0.0.1:%d" % control, "ca_file": authority.file,
    }


def main():
    options = arguments()
    stop = begin(options)
    # The cluster's socket needs a short path that its user can reach, whatever DIR is.
    private = tempfile.mkdtemp(prefix="makini-sim-", dir="/tmp")
    cluster = None
    try:
        service, cluster, found = build(options, private)
        found.update(listen(options, service, cluster, Authority(options.dir)))
        found.update(account_id=service.settings["account_id"], pid=os.getpid(), private_dir=private,
                     postgres_pid=cluster.process.pid)
        if options.recorded:
            service.serve_recorded(options.recorded)
        for fault in options.fault:
            service.faults.arm(json.loads(fault))
        if options.bench:
            wanted = pairs(options.bench)
            service.bench.fill(wanted.get("table", "transaction"), int(wanted["rows"]))
        tell(options.dir, found)
        stop.wait()
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(private, ignore_errors=True)


if __name__ == "__main__":
    main()
