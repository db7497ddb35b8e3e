#!/usr/bin/python3
"""Runs the corpus: every query over foreign tables and over local copies of
them, with pushdown and without.  Prints TAP.

    run.py --server SERVER [--seed WORD] [--only TEXT] [--section NAME] [--list] [DSN]

SERVER is a foreign server of netsuite_fdw with a mapping for the user who
connects.  The schemas erp, local and plain are dropped and made anew.  A
query passes when both sides give the same columns and the same multiset of
values (the same sequence where it is ordered), or the same SQLSTATE.
"""

import argparse
import collections
import os
import sys
import time

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from queries import all_queries     # noqa: E402
import tables as corpus_tables      # noqa: E402
from tables import CHOSEN, quoted, read_tables      # noqa: E402

SETTINGS = {"TimeZone": "UTC", "statement_timeout": "60s", "client_min_messages": "error"}
SHOWN_ROWS = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True, help="foreign server to read from")
    parser.add_argument("--only", help="queries whose text holds this")
    parser.add_argument("--section", help="queries of one section")
    parser.add_argument("--seed", default="corpus", help="another word gives other queries")
    parser.add_argument("--list", action="store_true", help="print the queries, run none")
    parser.add_argument("--keep", action="store_true", help="take the schemas as an earlier run made them")
    parser.add_argument("dsn", nargs="?", default="")
    return parser.parse_args()


def prepare_schemas(cursor, server):
    """Foreign tables, copies of them, and a local table that joins with both."""
    cursor.execute("SET client_min_messages = error")
    cursor.execute("DROP SCHEMA IF EXISTS erp, local, plain CASCADE")
    cursor.execute("CREATE SCHEMA erp; CREATE SCHEMA local; CREATE SCHEMA plain")
    cursor.execute('IMPORT FOREIGN SCHEMA v1 LIMIT TO (%s) FROM SERVER "%s" INTO erp' % (
        ", ".join(quoted(name) for name in CHOSEN), server))
    cursor.execute("SET makini.enable_pushdown = off")
    for name, (key, _) in CHOSEN.items():
        table = quoted(name)
        cursor.execute("CREATE TABLE local.%s AS SELECT * FROM erp.%s" % (table, table))
        cursor.execute("CREATE INDEX ON local.%s (%s)" % (table, ", ".join(quoted(k) for k in key.split())))
        cursor.execute("ANALYZE local.%s" % table)
    cursor.execute("CREATE TABLE plain.picked AS SELECT id FROM local.item WHERE id % 9 = 4"
                   " UNION ALL VALUES (NULL::bigint), (-77), (123456789)")
    cursor.execute("ANALYZE plain.picked")
    cursor.execute("RESET makini.enable_pushdown")


class Side:
    """Where a query runs: a schema, with pushdown or without."""

    def __init__(self, name, schema, pushdown=None):
        self.name = name
        self.settings = dict(SETTINGS, search_path=schema)
        if pushdown is not None:
            self.settings["makini.enable_pushdown"] = pushdown


REFERENCE = Side("local", "local")
SIDES = [Side("pushdown", "erp", "on"), Side("no pushdown", "erp", "off")]


def hashable(value):
    if isinstance(value, list):
        return tuple(hashable(one) for one in value)
    if isinstance(value, dict):
        return tuple(sorted((key, hashable(one)) for key, one in value.items()))
    return value


def fetch(cursor):
    columns = [(column.name, column.type_code) for column in cursor.description]
    return columns, [tuple(hashable(value) for value in row) for row in cursor.fetchall()]


def run_prepared(cursor, query):
    """The results of all executions, each row headed by the number of its execution."""
    cursor.execute("PREPARE corpus (%s) AS %s" % (query.types, query.sql))
    columns, rows = [], []
    for i, values in enumerate(query.executions):
        cursor.execute("EXECUTE corpus (%s)" % ", ".join(values))
        columns, found = fetch(cursor)
        rows += [(i,) + row for row in found]
    return columns, rows


def run_query(connection, side, query):
    """(columns, rows) or an SQLSTATE and message; the session is as before afterwards."""
    cursor = connection.cursor()
    settings = dict(side.settings)
    settings.update(query.settings)
    try:
        for name, value in settings.items():
            cursor.execute("SET LOCAL %s = %s" % (name, "'%s'" % value if name != "search_path" else value))
        if query.executions:
            return run_prepared(cursor, query), None
        cursor.execute(query.sql)
        return fetch(cursor), None
    except psycopg2.Error as error:
        if connection.closed:
            raise
        return None, (error.pgcode, str(error).strip())
    finally:
        if not connection.closed:
            connection.rollback()
            cursor.execute("DEALLOCATE ALL")
            connection.commit()


def differences(query, expected, got):
    """Lines that say how two results differ; none when they are equal."""
    (result, error), (other, other_error) = expected, got
    if error is not None or other_error is not None:
        if error is not None and other_error is not None and error[0] == other_error[0]:
            return []
        return ["expected %s" % (error or "rows",), "got %s" % (other_error or "rows",)]
    if result[0] != other[0]:
        return ["expected columns %s" % result[0], "got columns %s" % other[0]]
    if query.ordered and result[1] != other[1] and collections.Counter(result[1]) == collections.Counter(other[1]):
        return ["same rows, another order", "expected %s" % result[1][:SHOWN_ROWS], "got %s" % other[1][:SHOWN_ROWS]]
    missing = collections.Counter(result[1]) - collections.Counter(other[1])
    extra = collections.Counter(other[1]) - collections.Counter(result[1])
    lines = ["missing (%d of %d rows): %s" % (len(missing), len(result[1]), row) for row in list(missing)[:SHOWN_ROWS]]
    return lines + ["extra (%d of %d rows): %s" % (len(extra), len(other[1]), row) for row in list(extra)[:SHOWN_ROWS]]


def explain(connection, side, query):
    """The plan of a query that failed."""
    if query.executions:
        return []
    explained = type(query)("EXPLAIN (VERBOSE, COSTS OFF) " + query.sql, settings=query.settings)
    result, error = run_query(connection, side, explained)
    return [row[0] for row in result[1]] if result else [str(error)]


def check(connection, query):
    """Diagnostic lines; none when every side agrees with the local copies."""
    lines = []
    expected = run_query(connection, REFERENCE, query)
    for side in SIDES:
        found = differences(query, expected, run_query(connection, side, query))
        if found:
            lines += ["%s:" % side.name] + found + explain(connection, side, query)
    return lines, expected


# What a remote statement can be seen to do.
PUSHED = {"conditions": " WHERE ", "joins": " JOIN ", "aggregates": "COUNT(*)", "groups": " GROUP BY ",
          "orders": " DESC", "limits": " FETCH FIRST "}


def count_pushed(connection, query, pushed):
    statements = [line for line in explain(connection, SIDES[0], query) if "SuiteQL: " in line]
    for name, sign in PUSHED.items():
        pushed[name] += any(sign in line for line in statements)


def tap_name(section, query):
    text = " ".join(query.sql.split()).replace("#", "\\#")
    settings = "".join(" [%s=%s]" % setting for setting in query.settings)
    return "%s: %s%s" % (section, text if len(text) <= 300 else text[:300] + " ...", settings)


def main():
    options = arguments()
    corpus_tables.SEED = options.seed
    connection = psycopg2.connect(options.dsn)
    cursor = connection.cursor()
    if not options.keep:
        prepare_schemas(cursor, options.server)
    tables = read_tables(cursor)
    connection.commit()
    queries = [(section, query) for section, query in all_queries(tables)
               if (options.section in (None, section)) and (options.only or "") in query.sql]
    if options.list:
        for section, query in queries:
            print("%s: %s" % (section, query.sql))
        return 0

    failed, empty, errors = 0, 0, 0
    pushed = collections.Counter()
    started = time.monotonic()
    print("1..%d" % (len(queries) + len(PUSHED)))
    for number, (section, query) in enumerate(queries, 1):
        lines, (result, error) = check(connection, query)
        failed += bool(lines)
        count_pushed(connection, query, pushed)
        errors += error is not None
        empty += result is not None and not result[1]
        print("%sok %d - %s" % ("not " if lines else "", number, tap_name(section, query)), flush=bool(lines))
        for line in lines:
            print("# %s" % line.replace("\n", "\n# "))
    for number, name in enumerate(PUSHED, len(queries) + 1):
        failed += not pushed[name]
        print("%sok %d - %s were pushed down in %d plans" % ("" if pushed[name] else "not ", number, name, pushed[name]))
    print("# %d queries, %d with no rows, %d with an error, %d failed, %.0f s"
          % (len(queries), empty, errors, failed, time.monotonic() - started))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
