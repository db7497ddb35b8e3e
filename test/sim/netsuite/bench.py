"""Pages made beforehand, so that the simulator is never the slow side of a benchmark.

A query whose shape is known - one table, ordered by its single key, bounded by
comparisons of that key with constants - is rendered once over the whole table
by the ordinary gate and translator, and every further query of the shape is
answered by slicing the rendered bytes.  So the bytes are the same as without.
"""

import array
import bisect
import copy
import re
import threading

from faults import squeeze
from gate import Node
from suiteql import Page, page_json
from translate import conjuncts

BOUND = re.compile(r"([<>]=?) ?(-?\d+|\?)(?![\d.])")

FILLS = {
    "transaction": {
        "id": "g", "tranid": "'SO' || (100000 + g)", "transactionnumber": "'SALESORD' || g",
        "type": "(ARRAY['SalesOrd', 'CustInvc', 'ItemShip', 'PurchOrd'])[1 + g % 4]",
        "recordtype": "(ARRAY['salesorder', 'invoice', 'itemfulfillment', 'purchaseorder'])[1 + g % 4]",
        "trandate": "date '2022-01-01' + (g % 1600)::int", "entity": "1001 + g % 5000", "currency": "1 + g % 4",
        "exchangerate": "round(0.8 + (g % 97) / 100.0, 4)", "foreigntotal": "round((g * 7919 % 1000000) / 100.0, 2)",
        "status": "chr((65 + g % 8)::int)",
        "memo": "CASE WHEN g % 3 > 0 THEN 'order ' || g || ' - ünïcode \"quoted\"' END",
        "voided": "CASE WHEN g % 50 = 0 THEN 'T' ELSE 'F' END", "posting": "'T'",
        "createddate": "timestamptz '2022-01-01 08:00+00' + g * interval '97 seconds'",
        "lastmodifieddate": "timestamptz '2022-01-02 08:00+00' + g * interval '97 seconds'",
    },
    "item": {
        "id": "g", "itemid": "'SKU-' || lpad(g::text, 8, '0')", "itemtype": "'InvtPart'",
        "displayname": "'Widget ' || g || ' größer'", "isinactive": "CASE WHEN g % 20 = 0 THEN 'T' ELSE 'F' END",
        "cost": "round((g * 31 % 100000) / 100.0, 2)", "averagecost": "round((g * 37 % 100000) / 100.0, 2)",
        "description": "CASE WHEN g % 4 > 0 THEN 'A thing of number ' || g END", "weight": "(g % 1000) / 8.0",
        "class": "1 + g % 8", "department": "1 + g % 10", "subsidiary": "'1, 2'", "upccode": "lpad(g::text, 12, '0')",
        "createddate": "timestamptz '2022-01-01 08:00+00' + g * interval '97 seconds'",
        "lastmodifieddate": "timestamptz '2022-01-02 08:00+00' + g * interval '97 seconds'",
    },
}


class Shape:
    """What of a text varies: roles[i] is the comparison of the i-th bound, None where it is a constant."""

    def __init__(self, tree, roles, key):
        self.tree = tree
        self.roles = roles
        self.key = key
        self.fetch = tree.fetch


class Rendered:
    """Every row of a shape: keys in order, and where each row's JSON begins."""

    def __init__(self):
        self.keys = array.array("q")
        self.starts = array.array("Q", [0])
        self.text = bytearray()
        self.packed = {}

    def write(self, line):
        """One COPY line: key, tab, the row's JSON with its backslashes doubled."""
        tab = line.index(b"\t")
        self.keys.append(int(line[:tab]))
        self.text += line[tab + 1:-1].replace(b"\\\\", b"\\")
        self.text += b","
        self.starts.append(len(self.text))
        return len(line)

    def slice(self, first, count):
        return memoryview(self.text)[self.starts[first]:self.starts[first + count] - (1 if count else 0)]


class Bench:
    def __init__(self, engine):
        self.engine = engine
        self.enabled = False
        self.lock = threading.Lock()
        self.shapes = {}
        self.rendered = {}
        self.small = {}

    def fill(self, table, rows):
        """Replace a table's rows by so many, with ids from 1 on and no gaps."""
        cells = FILLS[table]
        cluster = self.engine.cluster
        cluster.run('TRUNCATE netsuite."%s"' % table)
        cluster.run('INSERT INTO netsuite."%s" (%s) SELECT %s FROM generate_series(1, %d::bigint) g' % (
            table, ", ".join('"%s"' % c for c in cells), ", ".join(cells.values()), rows))
        cluster.run('VACUUM (ANALYZE) netsuite."%s"' % table)
        self.forget()
        self.enabled = True

    def forget(self):
        """The data or what may be seen of them changed."""
        with self.lock:
            self.shapes, self.rendered, self.small = {}, {}, {}

    def warm(self, text, params):
        self.enabled = True
        return self.body(text, params, 1000, 0, "", False) is not None

    # -- answers -------------------------------------------------------------------

    def body(self, text, params, limit, offset, url, packed):
        """The body of an answer (gzip when packed), or None when the ordinary way must be gone."""
        values = []
        given = iter(params)

        def bound(match):
            value = next(given, None) if match.group(2) == "?" else match.group(2)
            values.append(value)
            return match.group(1) + " #"

        pattern = BOUND.sub(bound, text)
        shape = self.shapes.get(pattern)
        if shape is None:
            shape = self.learn(pattern, text, params)
        if not shape:
            return None
        rows = self.rows(pattern, shape, values, params)
        low, high = 0, len(rows.keys)
        for role, value in zip(shape.roles, values):
            if role == ">":
                low = max(low, bisect.bisect_right(rows.keys, int(value)))
            elif role == ">=":
                low = max(low, bisect.bisect_left(rows.keys, int(value)))
            elif role == "<":
                high = min(high, bisect.bisect_left(rows.keys, int(value)))
            elif role == "<=":
                high = min(high, bisect.bisect_right(rows.keys, int(value)))
        if shape.fetch is not None:
            high = min(high, low + shape.fetch)
        return self.slice(rows, low, max(high, low), limit, offset, url, packed)

    def slice(self, rows, low, high, limit, offset, url, packed):
        cap = self.engine.settings["row_cap"]
        total = high - low
        count = max(min(limit, total - offset, cap - offset), 0)
        known = (low, high, limit, offset, url)
        if packed and known in rows.packed:
            return rows.packed[known]
        page = Page([], [None] * count, total, limit, offset, cap)
        head, tail = page_json(page, url, ["\0"] * count).encode().split(b"[" + b",".join([b"\0"] * count) + b"]"
                                                                         if count else b'"items":[]')
        if count:
            body = b"".join((head, b"[", rows.slice(low + offset, count), b"]", tail))
        else:
            body = head + b'"items":[]' + tail
        if packed:
            body = squeeze(body)
            rows.packed[known] = body
        return body

    # -- learning --------------------------------------------------------------------

    def learn(self, pattern, text, params):
        tree = self.engine.tree(text)
        self.engine.translate(text, params)     # the gate refuses here what it refuses
        shape = self.analyse(tree, text)
        with self.lock:
            self.shapes[pattern] = shape or False
        return shape

    def analyse(self, tree, text):
        if len(tree.arms) != 1 or tree.arms[0].kind != "select" or self.engine.settings["json_ascii"]:
            return None
        select = tree.arms[0]
        if (len(select.sources) != 1 or select.sources[0].kind != "table" or select.distinct or select.top is not None
                or select.group or select.having or len(tree.order) != 1 or tree.order[0].descending):
            return None
        table = self.engine.account.table(select.sources[0].name)
        order = tree.order[0].expr
        if len(table.key) != 1 or order.kind != "column" or order.name != table.key[0]:
            return None
        if any(i.kind == "star" or aggregated(i.expr) for i in select.items):
            return None
        key = table.key[0]
        starts, kept = {}, []
        params_at = [m.start() for m in re.finditer(r"\?", text)]
        for part in conjuncts(select.where) if select.where is not None else []:
            at = bound_start(part, key, params_at)
            if at is None:
                kept.append(part)
            else:
                starts[at] = part.op
        roles = []
        for match in BOUND.finditer(text):
            at = match.start(2) + (1 if match.group(2).startswith("-") else 0)
            roles.append(starts.pop(at, None))
        if starts or any(has_param(p) for p in kept):
            return None
        rest = copy.copy(select)
        rest.where = None
        for part in kept:
            rest.where = part if rest.where is None else Node("and", left=rest.where, right=part)
        rest.items = select.items + [Node("item", expr=order, alias="simulator_key")]
        whole = copy.copy(tree)
        whole.arms = [rest]
        whole.fetch = None
        whole.params = 0
        shape = Shape(whole, roles, key)
        shape.fetch = tree.fetch
        return shape

    def rows(self, pattern, shape, values, params):
        """The rendered rows of a shape with these constants, made on first use."""
        constants = tuple(v for r, v in zip(shape.roles, values) if r is None)
        found = self.rendered.get((pattern, constants))
        if found is not None:
            return found
        with self.lock:
            found = self.rendered.get((pattern, constants))
            if found is None:
                found = self.render(shape.tree)
                self.rendered[pattern, constants] = found
        return found

    def render(self, tree):
        from translate import Translator
        engine = self.engine
        output = Translator(engine.account, engine.settings, []).translate(tree)
        names = {name: i for i, name in enumerate(output.names[:-1])}
        cells = ["'{\"links\":[]'"]
        for name, i in sorted(names.items()):
            wire = engine.wire("c%d" % (i + 1), output.types[i])
            cells.append("coalesce(',\"%s\":' || to_json(%s)::text, '')" % (name, wire))
        rows = Rendered()
        connection = engine.cluster.acquire()
        try:
            with connection.cursor() as cursor:
                cursor.copy_expert("COPY (SELECT trim_scale(c%d), %s || '}' FROM (%s) w) TO STDOUT" % (
                    len(output.names), " || ".join(cells), output.sql), rows)
        finally:
            engine.cluster.release(connection)
        return rows

    # -- counts and extremes --------------------------------------------------------------

    def small_answer(self, key):
        return self.small.get(key)

    def keep_small(self, key, body):
        if len(body) < 2000 and len(self.small) < 10000:
            self.small[key] = body


def aggregated(node):
    from translate import AGGREGATES, RANKING
    if not isinstance(node, Node):
        return False
    if node.kind in ("rownum", "scalar") or node.kind == "call" and node.name in AGGREGATES | RANKING:
        return True
    return any(aggregated(v) or isinstance(v, list) and any(aggregated(x) for x in v) for v in node.__dict__.values())


def has_param(node):
    if isinstance(node, (list, tuple)):
        return any(has_param(n) for n in node)
    if not isinstance(node, Node):
        return False
    return node.kind in ("param", "rownum") or any(has_param(v) for v in node.__dict__.values())


def bound_start(part, key, params_at):
    """Where the constant stands in a comparison of the key with one; None for anything else."""
    if part.kind != "compare" or part.op not in ("<", "<=", ">", ">=") or part.left.kind != "column" or \
            part.left.name != key:
        return None
    right = part.right.arg if part.right.kind == "minus" else part.right
    if right.kind == "number" and right.text.isdigit():
        return right.start
    if right.kind == "param":
        return params_at[right.index]
    return None
