"""Answers one SuiteQL query: parse, translate, execute, page."""

import json
import threading
import time
from collections import OrderedDict
from json.encoder import encode_basestring, encode_basestring_ascii

import psycopg2

from gate import Refused, parse
from translate import Translator
from values import user_date

HELPERS = r"""
CREATE SCHEMA netsuite;
CREATE SCHEMA sim;
-- NUMBER to text as Oracle's TO_CHAR does it
CREATE FUNCTION sim.number_text(n numeric) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT regexp_replace(trim_scale(n)::text, '^(-?)0\.', '\1.') $$;
CREATE FUNCTION sim.to_number(t text) RETURNS numeric LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN t ~ '^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$' THEN t::numeric
          ELSE (t || ' is not a number')::numeric END $$;
CREATE FUNCTION sim.java_number(n numeric) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	digits text := trim_scale(abs(n))::text;
	exponent int;
BEGIN
	IF n = 0 OR abs(n) >= 0.000001 THEN
		RETURN trim_scale(n)::text;
	END IF;
	digits := split_part(digits, '.', 2);
	exponent := length(digits) - length(ltrim(digits, '0')) + 1;
	digits := ltrim(digits, '0');
	RETURN CASE WHEN n < 0 THEN '-' ELSE '' END || left(digits, 1) ||
		CASE WHEN length(digits) > 1 THEN '.' || substr(digits, 2) ELSE '' END || 'E-' || exponent;
END $$;
CREATE FUNCTION sim.substr(t text, start int, n int DEFAULT NULL) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN n < 1 THEN NULL
		WHEN from_ < 1 THEN NULL
		WHEN n IS NULL THEN substr(t, from_)
		ELSE substr(t, from_, n) END
	FROM (SELECT CASE WHEN start = 0 THEN 1 WHEN start < 0 THEN length(t) + start + 1 ELSE start END AS from_) f $$;
CREATE FUNCTION sim.read_timestamp(t text, format text) RETURNS timestamp LANGUAGE sql STABLE SET timezone = 'UTC' AS
$$ SELECT to_timestamp(t, format)::timestamp $$;
"""

MAX_LIMIT = 1000

SLOW_SECONDS = 0.2      # what TOP costs


class Page:
    """One answer: rows are tuples of text or None in the order of names."""

    def __init__(self, names, rows, total, limit, offset, cap):
        self.names = names
        self.rows = rows
        self.total = total
        self.limit = limit
        self.offset = offset
        self.cap = cap
        self.has_more = offset + len(rows) < min(total, cap)


class Engine:
    def __init__(self, account, settings, cluster):
        self.account = account
        self.settings = settings
        self.cluster = cluster
        self.trees = OrderedDict()
        self.lock = threading.Lock()

    def tree(self, text):
        lenient = tuple(self.settings["lenient"])
        with self.lock:
            tree = self.trees.get((text, lenient))
        if tree is None:
            tree = parse(text, lenient)
            with self.lock:
                self.trees[text, lenient] = tree
                if len(self.trees) > 500:
                    self.trees.popitem(last=False)
        return tree

    def translate(self, text, params):
        try:
            return Translator(self.account, self.settings, params).translate(self.tree(text))
        except RecursionError:
            raise Refused("nested too deeply")

    def rendered(self, output):
        """The translated query with every column as the text that goes over the wire."""
        cells = ", ".join("%s AS c%d" % (self.wire("c%d" % (i + 1), kind), i + 1)
                          for i, kind in enumerate(output.types))
        return "SELECT %s FROM (%s) w" % (cells, output.sql)

    def wire(self, cell, kind):
        if kind == "number":
            form = self.settings["number_format"]
            return {"oracle": "sim.number_text(%s)", "java": "sim.java_number(%s)"}.get(
                form, "trim_scale(%s)::text") % cell
        if kind in ("date", "datetime"):
            return user_date(cell, self.settings)
        return cell

    def page(self, text, params, limit, offset):
        output = self.translate(text, params)
        if self.tree(text).slow:
            time.sleep(SLOW_SECONDS)
        sql = self.rendered(output)
        cap = self.settings["row_cap"]
        fetch = max(min(limit, cap - offset), 0)
        connection = self.cluster.acquire()
        try:
            with connection.cursor() as cursor:
                if self.settings["query_timeout_ms"]:
                    cursor.execute("SET statement_timeout = %d" % self.settings["query_timeout_ms"])
                cursor.execute("%s LIMIT %d OFFSET %d" % (sql, fetch, offset))
                rows = cursor.fetchall()
                total = offset + len(rows)
                if len(rows) == fetch or (offset and not rows):
                    cursor.execute("SELECT count(*) FROM (%s) n" % output.sql)
                    total = max(cursor.fetchone()[0], offset + len(rows) if rows else 0)
            return Page(output.names, rows, total, limit, offset, cap)
        except psycopg2.extensions.QueryCanceledError:
            raise Refused("took longer than query_timeout_ms", status=500)
        except psycopg2.Error as problem:
            raise Refused("execution: %s" % problem)
        finally:
            if self.settings["query_timeout_ms"]:
                connection.cursor().execute("RESET statement_timeout")
            self.cluster.release(connection)


def parse_body(body):
    """q and params of a request body; raises ValueError with what is wrong."""
    try:
        request = json.loads(body.decode("utf-8"))
    except (UnicodeDecodeError, ValueError) as problem:
        raise ValueError("the body is not JSON: %s" % problem)
    if not isinstance(request, dict) or not isinstance(request.get("q"), str):
        raise ValueError("q is missing")
    extra = set(request) - {"q", "params"}
    if extra:
        raise ValueError("unknown members: %s" % ", ".join(sorted(extra)))
    params = request.get("params", [])
    if not isinstance(params, list) or not all(p is None or isinstance(p, str) for p in params):
        raise ValueError("params must be a list of strings")
    return request["q"], params


def items_json(page, ascii_only):
    """The items of a page: links first, then the columns in alphabetical order, NULLs left out."""
    columns = {}
    for i, name in enumerate(page.names):
        columns[name] = i           # duplicate output names collapse
    order = sorted(columns.items())
    encode = encode_basestring_ascii if ascii_only else encode_basestring
    keys = [(',%s:' % encode(name), i) for name, i in order]
    parts = []
    for row in page.rows:
        cells = "".join(key + encode(row[i]) for key, i in keys if row[i] is not None)
        parts.append('{"links":[]' + cells + "}")
    return parts


def page_json(page, url, items):
    """The collection object around rendered items; url is the address without query."""
    links = []
    limit, offset = page.limit, page.offset
    reachable = min(page.total, page.cap)

    def link(rel, at):
        links.append({"rel": rel, "href": "%s?limit=%d&offset=%d" % (url, limit, at), "method": "POST"})

    if offset:
        link("first", 0)
        link("prev", max(offset - limit, 0))
    if page.has_more:
        link("next", offset + limit)
    if offset or page.has_more:
        link("last", (max(reachable - 1, 0) // limit) * limit)
        link("self", offset)
    else:
        links.append({"rel": "self", "href": url, "method": "POST"})
    head = json.dumps(links, separators=(",", ":"))
    return '{"links":%s,"count":%d,"hasMore":%s,"items":[%s],"offset":%d,"totalResults":%d}' % (
        head, len(items), "true" if page.has_more else "false", ",".join(items), offset, page.total)
