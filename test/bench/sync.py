"""How fast syncs are, held against COPY and against what the network allows.

    initial    a table of 10 columns is loaded into a new local table; COPY loads
               the same rows from a CSV file into a table like it, in turns
    idle       the next run, when nothing has changed: requests, CPU time of the
               backend, and what was written to the target
    changed    the next run when 1 % of the rows have changed
    full       a full pass over rows of which none has changed
    indexed    the same load into a table with a row in it, by INSERT ... ON CONFLICT
    joined     ... and without a unique index, by UPDATE ... FROM and INSERT
    network    500 ms added to each page and 4 in flight; held against
               4 / latency pages a second

Prints a line a figure.  Rows: MAKINI_BENCH_ROWS (1,000,000).
"""

import os
import statistics
import tempfile
import time

from scan import PAGE, ROWS, connect, control, line, prepare

COLUMNS = "id, tranid, type, trandate, entity, currency, exchangerate, foreigntotal, status, lastmodifieddate"
# One query for all rows: what the simulator has to render is rendered once.
OLDEST_FIRST = '{"backfill_order": "oldest", "full_every": null}'
# One call may be several runs: the initial load, and what changed meanwhile.
RUNS = ("SELECT " + ", ".join("sum(%s)::bigint" % c for c in ("requests", "rows_read", "rows_inserted", "rows_updated",
                                                            "rows_unchanged", "wait_ms"))
        + " FROM makini.sync_run WHERE run_id > %s")


class Bench:
    def __init__(self, rows):
        self.conn = connect()
        self.cur = self.conn.cursor()
        self.cur.execute("CREATE EXTENSION IF NOT EXISTS makini")
        self.cur.execute("SELECT makini.drop_sync(sync_id) FROM makini.sync")
        prepare(self.conn, rows, sync_concurrency=4)
        self.rows = rows
        self.sync = None

    def create(self, **more):
        names = {"schedule": None, "initial_window": "all", "columns": COLUMNS.split(", "), "options": OLDEST_FIRST}
        names.update(more)
        if self.sync is not None:
            self.cur.execute("SELECT makini.drop_sync(%s)", (self.sync,))
        self.cur.execute("SELECT makini.create_sync('bench.transaction', 'bench.target', %s)" %
                         ", ".join("%s => %%s" % name for name in names), list(names.values()))
        self.sync = self.cur.fetchone()[0]

    def new_target(self):
        if self.sync is not None:
            self.cur.execute("SELECT makini.drop_sync(%s)", (self.sync,))
            self.sync = None
        self.cur.execute("DROP TABLE IF EXISTS bench.target")

    def run(self, mode=None):
        """Seconds, CPU seconds of the backend, and what makini says of the run."""
        self.cur.execute("SELECT pg_backend_pid(), (SELECT coalesce(max(run_id), 0) FROM makini.sync_run)")
        pid, last = self.cur.fetchone()
        before, started = cpu_of(pid), time.monotonic()
        self.cur.execute("CALL makini.run_sync(%s, %s)", (self.sync, mode))
        took, used = time.monotonic() - started, cpu_of(pid) - before
        self.cur.execute(RUNS, (last,))
        return took, used, dict(zip(("requests", "read", "inserted", "updated", "unchanged", "wait_ms"), self.cur.fetchone()))

    def settle(self):
        self.cur.execute("CHECKPOINT")

    def written(self):
        self.cur.execute("SELECT n_tup_ins + n_tup_upd + n_tup_del, n_dead_tup FROM pg_stat_user_tables"
                         " WHERE relid = 'bench.target'::regclass")
        return self.cur.fetchone()


def cpu_of(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench_initial(bench):
    cur, rows = bench.cur, bench.rows
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/rows.csv"
        cur.execute("COPY (SELECT %s FROM bench.transaction) TO %%s (FORMAT csv)" % COLUMNS, (path,))
        ratios = []
        for turn in range(4):
            bench.new_target()
            bench.create()
            cur.execute("DROP TABLE IF EXISTS bench.copied")
            cur.execute("CREATE TABLE bench.copied (LIKE bench.target INCLUDING ALL)")
            bench.settle()
            started = time.monotonic()
            cur.execute("COPY bench.copied (%s) FROM %%s (FORMAT csv)" % COLUMNS, (path,))
            copy = time.monotonic() - started
            bench.settle()
            took, used, said = bench.run()
            assert said["inserted"] == rows, said
            if turn == 0:           # the simulator has rendered its pages now
                continue
            ratios.append(copy / took)
            line("initial", "%d rows x 10: COPY %.2f s (%.0f rows/s), sync %.2f s (%.0f rows/s, %.2f s of it CPU),"
                 " %.2f of COPY's rate" % (rows, copy, rows / copy, took, rows / took, used, ratios[-1]))
    line("initial", "median %.2f of COPY's rate (bar: at least 0.5, aim 1.0)" % statistics.median(ratios))


def bench_idle(bench):
    bench.run()
    before = bench.written()
    figures = [bench.run() for _ in range(5)]
    said = figures[-1][2]
    line("idle", "nothing changed: %d requests, %.0f ms, %.0f ms of it CPU, %d rows written to the target"
         " (bars: 2 requests, 50 ms CPU, nothing written)"
         % (said["requests"], 1000 * statistics.median(f[0] for f in figures),
            1000 * statistics.median(f[1] for f in figures), bench.written()[0] - before[0]))


def bench_changed(bench):
    control("/sql", {"sql": "UPDATE netsuite.transaction SET status = 'Z', lastmodifieddate = account_now() WHERE mod(id, 100) = 0"})
    took, used, said = bench.run()
    line("changed", "1 %% of %d rows: %d updated, %d unchanged with %d requests in %.2f s, %.2f s of it waiting, %.2f s CPU"
         % (bench.rows, said["updated"], said["unchanged"], said["requests"], took, said["wait_ms"] / 1000, used))


def bench_full(bench):
    bench.run("full")                # the simulator renders what has changed
    before = bench.written()
    took, used, said = bench.run("full")
    line("full", "%d rows, none changed: %.2f s (%.0f rows/s, %.2f s of it CPU), %d rows written to the target"
         % (said["read"], took, said["read"] / took, used, bench.written()[0] - before[0]))


def bench_way(bench, name, key):
    bench.new_target()
    bench.create()
    bench.cur.execute("SELECT makini.drop_sync(%s)", (bench.sync,))
    bench.sync = None
    if key is not None:
        bench.cur.execute("ALTER TABLE bench.target DROP CONSTRAINT target_pkey")
        bench.cur.execute(key)
    bench.cur.execute("INSERT INTO bench.target (id) VALUES (-1)")
    bench.create()
    bench.settle()
    took, used, said = bench.run()
    line(name, "%d rows into a table that is not empty: %.2f s (%.0f rows/s, %.2f s of it CPU)"
         % (said["inserted"], took, said["inserted"] / took, used))


def bench_network(rows):
    bench = Bench(rows)
    latency, flying = 0.5, 4
    bench.create()
    bench.run()                      # the simulator makes its pages when it first sees their shape
    bench.new_target()
    bench.create()
    control("/setting", {"latency_ms": int(latency * 1000)})
    _, used, said = bench.run()
    control("/setting", {"latency_ms": 0})
    # The load alone; the call goes on with what has changed meanwhile.
    bench.cur.execute("SELECT extract(epoch FROM finished_at - started_at)::float8 FROM makini.sync_run"
                      " WHERE mode = 'initial' ORDER BY run_id DESC LIMIT 1")
    took = bench.cur.fetchone()[0]
    ideal = rows / PAGE * latency / flying
    line("network", "%d rows in %d requests, %d in flight, %.0f ms each: ideal %.2f s, sync %.2f s (%.2f s CPU),"
         " %.3f of the ideal rate (bar: 0.95)"
         % (rows, said["requests"], flying, latency * 1000, ideal, took, used, ideal / took))


def main():
    bench = Bench(ROWS)
    bench_initial(bench)
    bench_idle(bench)
    bench_changed(bench)
    bench_full(bench)
    bench_way(bench, "indexed", None)
    bench_way(bench, "joined", "CREATE INDEX ON bench.target (id)")
    bench_network(min(ROWS, 500000))


if __name__ == "__main__":
    main()
