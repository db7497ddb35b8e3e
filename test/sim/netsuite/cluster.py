"""A private PostgreSQL cluster: the simulated account's data lives in it.

Unix socket only, no durability, collation linguistic (ICU) so that text is
never ordered bytewise.  Run by root, its processes belong to user postgres.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time

import psycopg2
import psycopg2.extensions

MAX_CONNECTIONS = 60


def find_bindir(wanted=None):
    """Folder of initdb and postgres: as given, else the newest installed, else pg_config's."""
    if wanted:
        return wanted
    if os.environ.get("MAKINI_SIM_PG_BINDIR"):
        return os.environ["MAKINI_SIM_PG_BINDIR"]
    found = [os.path.dirname(p) for p in glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    if found:
        return max(found, key=lambda p: int(p.split("/")[-2]) if p.split("/")[-2].isdigit() else 0)
    return subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip()


class Cluster:
    def __init__(self, folder, log, bindir=None, zone="America/Los_Angeles"):
        self.log = log
        self.folder = os.path.join(folder, "pgdata")
        self.sockets = folder
        self.bindir = find_bindir(bindir)
        self.zone = zone
        self.process = None
        self.user = None
        self.pool = []
        self.lock = threading.Lock()
        self.room = threading.BoundedSemaphore(MAX_CONNECTIONS - 10)
        if os.geteuid() == 0:
            self.user = pwd.getpwnam("postgres")

    def become(self):
        """In the child: leave root, and die with the simulator."""
        os.setsid()
        if self.user:
            os.initgroups(self.user.pw_name, self.user.pw_gid)
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
        import ctypes
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)

    def prepare(self):
        """Begin initdb; there is other work to do meanwhile."""
        os.makedirs(self.folder, mode=0o700)
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
            os.chown(self.sockets, self.user.pw_uid, self.user.pw_gid)
        self.process = self.launch("initdb", "-D", self.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                                   "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "-N")

    def launch(self, program, *arguments):
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "TZ": "UTC"}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        with open(self.log, "ab") as log:
            return subprocess.Popen([os.path.join(self.bindir, program), *arguments], preexec_fn=self.become, cwd="/",
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def start(self):
        if self.process.wait() != 0:
            raise RuntimeError("initdb failed: see " + self.log)
        settings = {
            "listen_addresses": "", "port": "5432", "unix_socket_directories": self.sockets, "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
            "autovacuum": "off", "shared_buffers": "256MB", "work_mem": "64MB", "max_connections": str(MAX_CONNECTIONS),
            "max_parallel_workers_per_gather": "0", "jit": "off", "timezone": self.zone, "datestyle": "ISO, MDY",
            "log_min_messages": "fatal", "log_min_error_statement": "panic", "max_wal_size": "4GB",
            "dynamic_shared_memory_type": "mmap",
        }
        arguments = ["-D", self.folder]
        for name, value in settings.items():
            arguments += ["-c", "%s=%s" % (name, value)]
        self.process = self.launch("postgres", *arguments)
        self.await_ready()

    def await_ready(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the private cluster did not start: see " + self.log)
                time.sleep(0.05)

    def connect(self):
        return psycopg2.connect(host=self.sockets, port=5432, user="postgres", dbname="postgres", options="")

    def acquire(self):
        """A connection of the pool; waits while all are in use."""
        self.room.acquire()
        with self.lock:
            if self.pool:
                return self.pool.pop()
        try:
            connection = self.connect()
        except psycopg2.Error:
            self.room.release()
            raise
        connection.autocommit = True
        return connection

    def release(self, connection):
        self.room.release()
        if connection.closed:
            return
        if connection.get_transaction_status() != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            connection.rollback()
        with self.lock:
            self.pool.append(connection)

    def run(self, sql, params=None):
        """Run a statement; rows as tuples of what psycopg2 makes of them, or None."""
        connection = self.acquire()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchall() if cursor.description else None
        finally:
            self.release(connection)

    def stop(self):
        with self.lock:
            for connection in self.pool:
                connection.close()
            self.pool = []
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
