"""The queries of the corpus.

Every query gives the same rows whenever it runs, in any order unless it is
marked ordered: LIMIT stands only behind an ORDER BY that ends with a key.
"""

from conditions import ANY, BY_KIND, combined, condition, fill
from tables import dice


class Query:
    def __init__(self, sql, ordered=False, settings=(), executions=(), types=""):
        self.sql = sql
        self.ordered = ordered          # the order of the rows counts
        self.settings = settings        # (name, value) to set for it
        self.executions = executions    # arguments of each EXECUTE, when it is to be prepared
        self.types = types              # of its parameters


def listed(columns):
    return ", ".join(column if isinstance(column, str) else column.name for column in columns)


def key_and(table, columns):
    """The select list of a table's key and some columns, none twice."""
    names = list(table.key)
    for column in columns:
        if column.name not in names:
            names.append(column.name)
    return ", ".join(names)


def some(columns, n, rng):
    return rng.sample(columns, min(n, len(columns)))


ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]


def zone(rng, *kinds):
    if "timestamptz" in kinds or "date" in kinds:
        return (("TimeZone", rng.choice(ZONES)),)
    return ()


def plain_conditions(tables):
    """Every kind of condition over every type, spread over the columns of that type."""
    rng = dice("plain")
    for kind, templates in BY_KIND.items():
        columns = [(table, column) for table in tables.values() for column in table.of_kind(kind)]
        rng.shuffle(columns)
        for i, template in enumerate(templates * 2):
            table, column = columns[i % len(columns)]
            yield Query("SELECT %s FROM %s WHERE %s" % (key_and(table, [column] + some(table.columns, 2, rng)),
                                                        table.name, fill(template, column, rng)),
                        settings=zone(rng, kind))


def logic(tables):
    rng = dice("logic")
    for table in tables.values():
        for depth in [1, 1, 1, 2, 2, 2, 2, 3, 3, 3]:
            columns = some(table.columns, 4, rng)
            yield Query("SELECT %s FROM %s WHERE %s" % (key_and(table, columns), table.name,
                                                        combined(columns, rng, depth)),
                        settings=zone(rng, *[column.kind for column in columns]))


def between_columns(tables):
    """Columns compared with each other, and rows with rows."""
    rng = dice("between")
    operators = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
    for table in tables.values():
        for kind in ("integer", "numeric", "text", "date", "timestamptz", "boolean"):
            columns = table.of_kind(kind)
            if len(columns) < 2:
                continue
            a, b = some(columns, 2, rng)
            yield Query("SELECT %s FROM %s WHERE %s %s %s" % (key_and(table, [a, b]), table.name, a.name,
                                                             rng.choice(operators), b.name))
        a, b = some(table.columns, 2, rng)
        values = {"a": a.name, "b": b.name, "v": rng.choice(a.samples), "w": rng.choice(b.samples),
                  "x": rng.choice(a.samples), "y": rng.choice(b.samples)}
        for template in ("({a}, {b}) = ({v}, {w})", "({a}, {b}) IN (({v}, {w}), ({x}, {y}))",
                         "({a}, {b}) >= ({v}, {w})", "({a}, {b}) < ({v}, {w})", "NOT (({a}, {b}) = ({v}, {w}))",
                         "({a} IS NULL) = ({b} IS NULL)", "num_nulls({a}, {b}) = 1", "ROW({a}, {b}) IS NOT NULL",
                         "ROW({a}, {b}) IS NULL"):
            yield Query("SELECT %s FROM %s WHERE %s" % (key_and(table, [a, b]), table.name, template.format(**values)))


DIRECTIONS = ["", " ASC", " DESC", " NULLS FIRST", " ASC NULLS LAST", " DESC NULLS LAST", " DESC NULLS FIRST"]
LIMITS = ["", "", " LIMIT 10", " LIMIT 1", " LIMIT 0", " LIMIT 7 OFFSET 5", " OFFSET 3", " LIMIT 5 OFFSET 100000",
          " LIMIT NULL", " LIMIT ALL", " LIMIT 2000", " FETCH FIRST 3 ROWS ONLY", " FETCH FIRST ROW WITH TIES",
          " LIMIT 1 + 2", " LIMIT (SELECT 4)"]


def order_by(table, columns, rng):
    parts = [column.name + rng.choice(DIRECTIONS) for column in columns]
    return ", ".join(parts + [key for key in table.key if key not in [column.name for column in columns]])


def ordering(tables):
    rng = dice("ordering")
    for table in tables.values():
        for i in range(16):
            columns = some(table.columns, rng.choice([0, 1, 1, 2]), rng)
            where = " WHERE " + condition(rng.choice(table.columns), rng) if i % 2 else ""
            yield Query("SELECT %s FROM %s%s ORDER BY %s%s" % (key_and(table, columns), table.name, where,
                                                              order_by(table, columns, rng), rng.choice(LIMITS)),
                        ordered=True)
    for text in ("SELECT id FROM item ORDER BY itemid COLLATE \"C\", id LIMIT 10",
                 "SELECT id FROM item ORDER BY lower(itemid), id DESC LIMIT 10",
                 "SELECT id, averagecost FROM item ORDER BY averagecost USING >, id LIMIT 10",
                 "SELECT id, -averagecost FROM item ORDER BY -averagecost, id LIMIT 10",
                 "SELECT id, itemid FROM item ORDER BY 2 DESC, 1 LIMIT 5",
                 "SELECT id % 10 AS last, id FROM item ORDER BY last, id LIMIT 25",
                 "SELECT id FROM (SELECT id FROM item ORDER BY id LIMIT 20) s ORDER BY id DESC LIMIT 5",
                 "SELECT id FROM (SELECT id FROM item ORDER BY id DESC LIMIT 20) s WHERE id % 2 = 0 ORDER BY id",
                 "SELECT max(id) FROM (SELECT id FROM item ORDER BY id LIMIT 20) s",
                 "SELECT count(*) FROM (SELECT id FROM transaction ORDER BY id OFFSET 17) s"):
        yield Query(text, ordered=True)


def distinct(tables):
    rng = dice("distinct")
    for table in tables.values():
        for n in (1, 1, 2, 3):
            columns = some(table.columns, n, rng)
            where = " WHERE " + condition(rng.choice(table.columns), rng) if rng.random() < 0.4 else ""
            yield Query("SELECT DISTINCT %s FROM %s%s" % (listed(columns), table.name, where))
        column = rng.choice(table.columns)
        yield Query("SELECT DISTINCT ON (%s) %s FROM %s ORDER BY %s" % (column.name, key_and(table, [column]),
                                                                       table.name, order_by(table, [column], rng)),
                    ordered=True)


# The last digits of an average depend on trailing zeros of its terms, which no
# remote side keeps: numeric averages are rounded.
AGGREGATES = {
    "integer": ["sum({c})", "avg({c})", "min({c})", "max({c})", "count({c})", "count(DISTINCT {c})", "sum(DISTINCT {c})",
                "sum({c} + 1)", "bit_and({c})", "max({c}) - min({c})"],
    "numeric": ["sum({c})", "round(avg({c}), 8)", "min({c})", "max({c})", "count({c})", "sum(DISTINCT {c})",
                "round(avg(DISTINCT {c}), 8)",
                "sum(round({c}, 2))", "sum({c}) * 2", "count({c}) FILTER (WHERE {c} > 0)", "sum(-{c})"],
    "text": ["count({c})", "min({c})", "max({c})", "count(DISTINCT {c})", "max(length({c}))", "min({c} COLLATE \"C\")",
             "string_agg({c}, ',' ORDER BY {c} COLLATE \"C\")"],
    "boolean": ["bool_and({c})", "bool_or({c})", "every({c})", "count({c})", "count(*) FILTER (WHERE {c})",
                "sum({c}::int)", "count(DISTINCT {c})"],
    "date": ["min({c})", "max({c})", "count({c})", "count(DISTINCT {c})", "max({c}) - min({c})",
             "max({c} + 1)", "min(date_trunc('month', {c}))"],
    "timestamptz": ["min({c})", "max({c})", "count({c})", "count(DISTINCT {c})", "max({c}) - min({c})",
                    "count(*) FILTER (WHERE {c} > '2026-01-01 00:00+00')", "max({c}::date)"],
}


def aggregate(column, rng):
    return rng.choice(AGGREGATES[column.kind]).replace("{c}", column.name)


def aggregates(tables):
    rng = dice("aggregates")
    for table in tables.values():
        yield Query("SELECT count(*) FROM %s" % table.name)
        for column in table.columns:
            yield Query("SELECT count(*), %s, %s FROM %s%s" % (
                aggregate(column, rng), aggregate(column, rng), table.name,
                " WHERE " + condition(rng.choice(table.columns), rng) if rng.random() < 0.5 else ""),
                settings=zone(rng, column.kind))
        column = rng.choice(table.columns)
        yield Query("SELECT count(*), %s FROM %s WHERE false" % (aggregate(column, rng), table.name))
        yield Query("SELECT count(*), %s FROM %s WHERE %s = %s AND %s IS NULL" % (
            aggregate(column, rng), table.name, column.name, rng.choice(column.samples), column.name))


def grouping(tables):
    rng = dice("grouping")
    for table in tables.values():
        numbers = table.of_kind("integer", "numeric")
        for i in range(9):
            groups = some(table.columns, rng.choice([1, 1, 2]), rng)
            value = rng.choice(table.columns if i % 2 else numbers)
            where = " WHERE " + condition(rng.choice(table.columns), rng) if i % 3 == 0 else ""
            number = rng.choice(numbers).name
            having = rng.choice(["", "", " HAVING count(*) > 1", " HAVING count(*) = 1 OR max(%s) IS NULL" % number,
                                 " HAVING min(%s) IS NOT NULL" % number])
            yield Query("SELECT %s, count(*), %s FROM %s%s GROUP BY %s%s" % (
                listed(groups), aggregate(value, rng), table.name, where, listed(groups), having))
        a, b = some(table.columns, 2, rng)
        names = {"a": a.name, "b": b.name, "t": table.name, "n": rng.choice(numbers).name}
        for text in ("SELECT {a}, {b}, count(*) FROM {t} GROUP BY ROLLUP ({a}, {b})",
                     "SELECT {a}, {b}, grouping({a}, {b}), sum({n}) FROM {t} GROUP BY GROUPING SETS (({a}), ({b}), ())",
                     "SELECT {a} IS NULL, count(*) FROM {t} GROUP BY 1",
                     "SELECT count(*) FROM (SELECT {a}, count(*) AS n FROM {t} GROUP BY {a}) s WHERE n > 1",
                     "SELECT {a} FROM {t} GROUP BY {a}",
                     "SELECT DISTINCT count(*) FROM {t} GROUP BY {a}",
                     "SELECT {a}, sum({n}) FROM {t} GROUP BY {a} ORDER BY sum({n}) DESC NULLS LAST, {a} NULLS FIRST LIMIT 5"):
            yield Query(text.format(**names), ordered="ORDER BY" in text)


# Two tables of one server, and how their rows belong together.
PAIRS = [
    ("transaction", "customer", "{a}.entity = {b}.id"),
    ("transactionline", "transaction", "{a}.transaction = {b}.id"),
    ("transactionline", "item", "{a}.item = {b}.id"),
    ("transactionline", "location", "{b}.id = {a}.location"),
    ("aggregateitemlocation", "item", "{a}.item = {b}.id"),
    ("aggregateitemlocation", "location", "{a}.location = {b}.id"),
    ("inventorybalance", "item", "{a}.item = {b}.id"),
    ("inventorybalance", "aggregateitemlocation", "{a}.item = {b}.item AND {a}.location = {b}.location"),
    ("item", "item", "{a}.parent = {b}.id"),
    ("customer", "customer", "{a}.parent = {b}.id"),
    ("account", "account", "{a}.parent = {b}.id"),
    ("account", "accounttype", "{a}.accttype = {b}.id"),
    ("deletedrecord", "transaction", "{a}.recordid = {b}.id"),
    ("systemnote", "customer", "{a}.recordid = {b}.id"),
    ("location", "location", "{a}.parent = {b}.id AND {a}.id <> {b}.id"),
]


def joined(tables, pair, rng):
    """The names a join's templates are filled with."""
    left, right, on = tables[pair[0]], tables[pair[1]], pair[2].format(a="a", b="b")
    of_left = [column.of("a") for column in left.columns]
    of_right = [column.of("b") for column in right.columns]
    keys = ["a." + key for key in left.key] + ["b." + key for key in right.key]
    chosen = some(of_left, 2, rng) + some(of_right, 2, rng)
    return {
        "left": left.name, "right": right.name, "on": on,
        "list": ", ".join(keys + [column.name for column in chosen if column.name not in keys]),
        "keys": ", ".join(keys), "left_keys": ", ".join("a." + key for key in left.key),
        "right_key": "b." + right.key[0], "group": rng.choice(of_right).name,
        "value": aggregate(rng.choice([column for column in of_left if column.kind in ("integer", "numeric")]), rng),
        "where_left": condition(rng.choice(of_left), rng), "where_right": condition(rng.choice(of_right), rng),
        "where_both": combined(some(of_left, 2, rng) + some(of_right, 2, rng), rng, 2),
    }


JOINS = [
    "SELECT {list} FROM {left} a JOIN {right} b ON {on} WHERE {where_left}",
    "SELECT {list} FROM {left} a JOIN {right} b ON {on} WHERE {where_right}",
    "SELECT {list} FROM {left} a JOIN {right} b ON {on} AND {where_left} AND {where_right}",
    "SELECT {list} FROM {left} a, {right} b WHERE {on} AND {where_both}",
    "SELECT {list} FROM {left} a LEFT JOIN {right} b ON {on} WHERE {where_left}",
    "SELECT {list} FROM {left} a LEFT JOIN {right} b ON {on} AND {where_right}",
    "SELECT {list} FROM {left} a LEFT JOIN {right} b ON {on} AND {where_left}",
    "SELECT {list} FROM {left} a LEFT JOIN {right} b ON {on} WHERE {where_right}",
    "SELECT {list} FROM {left} a LEFT JOIN {right} b ON {on} WHERE {right_key} IS NULL",
    "SELECT {list} FROM {left} a LEFT JOIN {right} b ON {on} WHERE {where_both}",
    "SELECT {list} FROM {left} a RIGHT JOIN {right} b ON {on} AND {where_left}",
    "SELECT {list} FROM {right} b LEFT JOIN {left} a ON {on} AND {where_left} WHERE {where_right}",
    "SELECT {left_keys} FROM {left} a WHERE EXISTS (SELECT FROM {right} b WHERE {on} AND {where_right})",
    "SELECT {left_keys} FROM {left} a WHERE NOT EXISTS (SELECT FROM {right} b WHERE {on} AND {where_right})",
    "SELECT {left_keys} FROM {left} a WHERE NOT EXISTS (SELECT FROM {right} b WHERE {on}) AND {where_left}",
    "SELECT {keys} FROM {left} a JOIN {right} b ON {on} ORDER BY {keys} LIMIT 20",
    "SELECT {keys} FROM {left} a LEFT JOIN {right} b ON {on} AND {where_right} ORDER BY {keys} LIMIT 15 OFFSET 5",
    "SELECT count(*), {value} FROM {left} a JOIN {right} b ON {on} WHERE {where_right}",
    "SELECT {group}, count(*), {value} FROM {left} a LEFT JOIN {right} b ON {on} GROUP BY {group}",
    "SELECT DISTINCT {group} FROM {left} a JOIN {right} b ON {on} WHERE {where_left}",
    "SELECT count(*) FROM {left} a FULL JOIN {right} b ON {on}",
]


def joins(tables):
    rng = dice("joins")
    for pair in PAIRS:
        for template in JOINS:
            # a full join needs conditions that can be hashed
            if "FULL" in template and "<>" in pair[2]:
                continue
            yield Query(template.format(**joined(tables, pair, rng)), ordered="ORDER BY" in template)


MORE_JOINS = [
    "SELECT l.uniquekey, t.tranid, c.entityid FROM transactionline l JOIN transaction t ON t.id = l.transaction"
    " JOIN customer c ON c.id = t.entity WHERE l.item IS NOT NULL AND t.trandate > '2026-01-01'",
    "SELECT l.uniquekey, i.itemid, o.name FROM transactionline l LEFT JOIN item i ON i.id = l.item"
    " LEFT JOIN location o ON o.id = l.location WHERE l.quantity > 0",
    "SELECT t.id, s.n FROM transaction t JOIN LATERAL (SELECT count(*) AS n FROM transactionline l"
    " WHERE l.transaction = t.id) s ON true WHERE t.id % 50 = 0",
    "SELECT t.id, s.uniquekey FROM transaction t LEFT JOIN LATERAL (SELECT l.uniquekey FROM transactionline l"
    " WHERE l.transaction = t.id ORDER BY l.uniquekey DESC LIMIT 1) s ON true WHERE t.id % 100 = 1",
    "SELECT i.id, v.n FROM (VALUES (1, 'one'), (5, 'five'), (NULL, 'none'), (999999, 'far')) v(id, n)"
    " LEFT JOIN item i ON i.id = v.id",
    "SELECT i.id, v.n FROM (VALUES (1, 'one'), (5, 'five'), (5, 'again')) v(id, n) JOIN item i ON i.id = v.id",
    "SELECT a.id, b.id FROM accounttype a CROSS JOIN location b WHERE a.seqnum > b.id",
    "SELECT a.id, b.id FROM item a JOIN item b ON a.id < b.id AND b.id < a.id + 3 WHERE a.id < 60",
    "SELECT a.id, b.id FROM item a JOIN item b ON a.averagecost = b.averagecost AND a.id <> b.id",
    "SELECT a.id, b.id FROM item a JOIN customer b ON a.itemid = b.entityid",
    "SELECT count(*) FROM transaction a JOIN transaction b USING (trandate) WHERE a.id < b.id",
    "SELECT count(*) FROM item NATURAL JOIN aggregateitemlocation",
    "SELECT p.id, i.itemid FROM plain.picked p JOIN item i ON i.id = p.id",
    "SELECT p.id, i.itemid FROM plain.picked p LEFT JOIN item i ON i.id = p.id AND i.isinactive IS NOT TRUE",
    "SELECT p.id, count(l.id) FROM plain.picked p LEFT JOIN transactionline l ON l.item = p.id GROUP BY p.id",
    "SELECT p.id FROM plain.picked p WHERE p.id NOT IN (SELECT id FROM item)",
    "SELECT i.id FROM item i WHERE i.id IN (SELECT id FROM plain.picked)",
    "SELECT i.id FROM item i WHERE i.id NOT IN (SELECT id FROM plain.picked WHERE id IS NOT NULL)",
    "SELECT i.id FROM item i WHERE i.id NOT IN (SELECT id FROM plain.picked)",
    "SELECT i.id, p.id FROM item i FULL JOIN plain.picked p ON p.id = i.id WHERE i.id IS NULL OR p.id < 50",
    "SELECT i.id FROM item i WHERE i.id = ANY (SELECT id FROM plain.picked) ORDER BY i.id LIMIT 3",
    "SELECT i.id, l.quantityonhand FROM item i JOIN aggregateitemlocation l ON l.item = i.id"
    " JOIN plain.picked p ON p.id = i.id",
]


def more_joins(_):
    for text in MORE_JOINS:
        yield Query(text, ordered="ORDER BY i.id" in text)
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_memoize", "enable_material"):
        for text in MORE_JOINS[:6] + MORE_JOINS[12:15]:
            yield Query(text, settings=((setting, "off"),))


SUBSELECTS = [
    "SELECT id FROM item WHERE averagecost > (SELECT avg(averagecost) FROM item)",
    "SELECT id FROM item WHERE averagecost = (SELECT max(averagecost) FROM item)",
    "SELECT id FROM item WHERE lastmodifieddate = (SELECT max(lastmodifieddate) FROM item)",
    "SELECT id FROM item WHERE id = (SELECT min(id) FROM item WHERE id > 100)",
    "SELECT id FROM item WHERE id = (SELECT id FROM item WHERE id = -12345)",
    "SELECT id FROM item WHERE id IN (SELECT item FROM transactionline WHERE quantity > 5)",
    "SELECT id FROM item WHERE id NOT IN (SELECT item FROM transactionline)",
    "SELECT id FROM item WHERE id NOT IN (SELECT item FROM transactionline WHERE item IS NOT NULL)",
    "SELECT id FROM transaction WHERE entity IN (SELECT id FROM customer WHERE isperson)",
    "SELECT id FROM transaction WHERE (id, entity) IN (SELECT transaction, 5 FROM transactionline)",
    "SELECT id, (SELECT count(*) FROM transactionline l WHERE l.item = i.id) FROM item i WHERE id < 40",
    "SELECT id, (SELECT max(quantity) FROM transactionline l WHERE l.item = i.id AND l.mainline IS NOT TRUE)"
    " FROM item i WHERE id < 40",
    "SELECT id, EXISTS (SELECT FROM item c WHERE c.parent = i.id) FROM item i",
    "SELECT id FROM item i WHERE (SELECT count(*) FROM aggregateitemlocation a WHERE a.item = i.id) > 2",
    "SELECT id FROM item WHERE id > ALL (SELECT item FROM aggregateitemlocation WHERE quantityonhand > 900)",
    "SELECT id FROM item WHERE averagecost < ANY (SELECT cost FROM item WHERE id < 20)",
    "SELECT id FROM item WHERE ARRAY[id] <@ ARRAY(SELECT item FROM aggregateitemlocation)",
    "SELECT s.type, s.n FROM (SELECT type, count(*) AS n FROM transaction GROUP BY type) s WHERE s.n > 10",
    "SELECT * FROM (SELECT id, itemid FROM item WHERE id < 50) s WHERE s.id > 20",
    "SELECT * FROM (SELECT id, itemid AS n FROM item UNION ALL SELECT id, entityid FROM customer) s WHERE id < 1030",
    "WITH c AS (SELECT id FROM customer WHERE isperson) SELECT t.id FROM transaction t JOIN c ON c.id = t.entity",
    "WITH c AS MATERIALIZED (SELECT id FROM customer WHERE isperson) SELECT count(*) FROM c a JOIN c b USING (id)",
    "WITH RECURSIVE up AS (SELECT id, parent, 0 AS depth FROM item WHERE parent IS NOT NULL UNION ALL"
    " SELECT u.id, i.parent, depth + 1 FROM up u JOIN item i ON i.id = u.parent WHERE depth < 3)"
    " SELECT id, max(depth) FROM up GROUP BY id",
    "SELECT id FROM item UNION SELECT id FROM customer",
    "SELECT currency FROM customer UNION ALL SELECT currency FROM transaction",
    "SELECT entity FROM transaction INTERSECT SELECT id FROM customer",
    "SELECT id FROM customer EXCEPT SELECT entity FROM transaction",
    "SELECT item FROM transactionline EXCEPT ALL SELECT item FROM aggregateitemlocation",
    "SELECT id FROM customer INTERSECT ALL SELECT entity FROM transaction",
    "SELECT isinactive FROM item UNION SELECT isperson FROM customer",
    "SELECT lastmodifieddate FROM item INTERSECT SELECT lastmodifieddate FROM customer",
    "SELECT id, row_number() OVER (ORDER BY averagecost NULLS FIRST, id) FROM item",
    "SELECT id, rank() OVER (PARTITION BY itemtype ORDER BY id) FROM item WHERE id % 3 = 0",
    "SELECT id, sum(foreigntotal) OVER (PARTITION BY entity ORDER BY id) FROM transaction",
    "SELECT id, lag(id) OVER (ORDER BY id) FROM customer",
    "SELECT s.id FROM (SELECT id, row_number() OVER (PARTITION BY type ORDER BY id DESC) AS n FROM transaction) s"
    " WHERE n = 1",
    "SELECT (i).id, (i).itemid FROM item i WHERE (i).id < 10",
    "SELECT i IS NULL, count(*) FROM item i GROUP BY 1",
    "SELECT count(i), count(i.*) FROM item i",
    "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM accounttype t",
    "SELECT to_jsonb(l) FROM location l WHERE id < 4",
    "SELECT 1 FROM item", "SELECT FROM item WHERE id < 10", "SELECT NULL FROM item WHERE id < 10",
    "SELECT 1 WHERE EXISTS (SELECT FROM item)", "SELECT 1 WHERE NOT EXISTS (SELECT FROM item WHERE id = 0)",
    "SELECT id FROM item WHERE false", "SELECT id FROM item WHERE NULL", "SELECT id FROM item WHERE true",
    "SELECT id FROM item WHERE 1 = 2 OR id < 5", "SELECT id FROM item WHERE id = 5 AND id = 6",
    "SELECT id FROM item WHERE id IN (SELECT generate_series(1, 20))",
    "SELECT id FROM item WHERE id = ANY ((SELECT array_agg(g) FROM generate_series(1, 1500) g)::bigint[])",
    "SELECT id, upper(itemid), length(displayname), averagecost * 2, lastmodifieddate AT TIME ZONE 'UTC',"
    " coalesce(parent, -1), isinactive IS TRUE FROM item",
    "SELECT CASE WHEN isinactive THEN 'off' WHEN id < 100 THEN 'early' ELSE itemid END, id FROM item",
    "SELECT tableoid IS NULL FROM accounttype",
    "SELECT * FROM accounttype", "SELECT * FROM location", "SELECT * FROM item WHERE id = 5",
    "SELECT * FROM transactionline WHERE transaction = 2001", "SELECT * FROM deletedrecord ORDER BY 1, 2, 3 LIMIT 10",
    "SELECT * FROM customer WHERE id IN (1001, 1002, 1003)", "TABLE accounttype",
    "SELECT itemid::int FROM item", "SELECT 1 / (id - id) FROM item WHERE id = 5",
]


def subselects(_):
    for text in SUBSELECTS:
        yield Query(text)


def in_lists(tables):
    """Lists of every length up to beyond what the remote side takes at once."""
    rng = dice("lists")
    for n in (1, 2, 10, 100, 999, 1000, 1001, 2500):
        numbers = ", ".join(str(rng.randrange(-5, 4000)) for _ in range(n))
        yield Query("SELECT id FROM transaction WHERE id IN (%s)" % numbers)
        yield Query("SELECT id FROM item WHERE id NOT IN (%s)" % numbers)
        yield Query("SELECT uniquekey FROM transactionline WHERE item IN (%s) AND mainline IS NOT TRUE" % numbers)
        yield Query("SELECT id, tranid FROM transaction WHERE id IN (%s) ORDER BY id DESC LIMIT 4" % numbers, ordered=True)
        yield Query("SELECT count(*), min(id) FROM transaction WHERE id IN (%s) OR currency = 1" % numbers)
    column = tables["item"].column("itemid")
    for n in (2, 1001):
        texts = ", ".join((column.samples * n)[:n])
        yield Query("SELECT id FROM item WHERE itemid IN (%s)" % texts)
        yield Query("SELECT id FROM item WHERE itemid NOT IN (%s)" % texts)


PARAMETER_TYPES = {"integer": "bigint", "numeric": "numeric", "text": "text", "boolean": "boolean", "date": "date",
                   "timestamptz": "timestamptz"}
PREPARED = ["{c} = $1", "{c} <> $1", "{c} IS DISTINCT FROM $1", "$1 = {c}", "{c} IN ($1, $2)", "{c} NOT IN ($1, $2)",
            "{c} = ANY (ARRAY[$1, $2])", "{c} = $1 OR $2 IS NULL", "coalesce($1, {c}) = {c}",
            "{c} = $1 AND {c} IS DISTINCT FROM $2"]
PREPARED_ORDERED = ["{c} < $1", "{c} BETWEEN $1 AND $2", "{c} > $1 AND {c} <= $2", "NOT ({c} >= $1)"]


def executions(column, n_parameters, rng):
    """Arguments for more executions than it takes to get a generic plan, a NULL among them."""
    rows = [tuple(rng.choice(column.samples) for _ in range(n_parameters)) for _ in range(6)]
    return rows + [("NULL",) * n_parameters, tuple(rng.choice(column.samples) for _ in range(n_parameters))]


# A condition with NULL holds nowhere, which is not the same as no row at all.
LONE_PARAMETER = [
    "SELECT count(*) FROM customer WHERE id = $1", "SELECT max(id), count(parent) FROM customer WHERE parent = $1",
    "SELECT parent, count(*) FROM customer WHERE parent >= $1 GROUP BY parent",
    "SELECT count(*) FROM customer c JOIN transaction t ON t.entity = c.id AND t.currency = $1",
    "SELECT c.id, t.id FROM customer c LEFT JOIN transaction t ON t.entity = c.id AND t.currency = $1 WHERE c.id < 1020",
    "SELECT c.id, t.id FROM customer c LEFT JOIN transaction t ON t.entity = c.id WHERE t.currency = $1",
    "SELECT count(*) FROM customer c LEFT JOIN transaction t ON t.entity = c.id AND t.currency = $1",
    "SELECT id FROM customer WHERE id = $1 OR parent = $1 OR currency = $1",
    "SELECT id FROM customer WHERE NOT (id = $1 AND currency = 1)",
    "SELECT id FROM customer WHERE NOT (id = $1 OR currency = 1)",
    "SELECT id FROM customer WHERE (id = $1) IS NULL AND id < 1020",
    "SELECT id FROM customer WHERE id > $1 ORDER BY id LIMIT 3",
    "SELECT id FROM customer WHERE parent = $1 ORDER BY id DESC LIMIT 3",
    "SELECT id FROM customer WHERE coalesce($1 > 3, isperson)",
    "SELECT id FROM customer WHERE isperson = ($1 > 3)", "SELECT id FROM customer WHERE ($1 > 3) AND id < 1010",
    "SELECT c.id FROM customer c WHERE EXISTS (SELECT FROM customer p WHERE p.id = c.parent AND p.id = $1)",
    "SELECT c.id FROM customer c WHERE NOT EXISTS (SELECT FROM customer p WHERE p.id = c.parent AND p.id = $1)",
    "SELECT (SELECT max(t.id) FROM transaction t WHERE t.entity = $1)",
    "SELECT c.id, (SELECT count(*) FROM transaction t WHERE t.entity = c.parent) FROM customer c WHERE c.id < 1000 + $1",
]


def prepared(tables):
    rng = dice("prepared")
    modes = ["auto", "force_custom_plan", "force_generic_plan"]
    for table in tables.values():
        for i in range(6):
            column = rng.choice(table.columns)
            template = rng.choice(PREPARED if column.kind == "boolean" or i % 2 else PREPARED_ORDERED)
            n = 2 if "$2" in template else 1
            yield Query("SELECT %s FROM %s WHERE %s" % (key_and(table, [column]), table.name,
                                                        template.replace("{c}", column.name)),
                        settings=(("plan_cache_mode", modes[i % 3]),),
                        types=", ".join([PARAMETER_TYPES[column.kind]] * n), executions=executions(column, n, rng))
    ids = tables["item"].column("id")
    texts = tables["item"].column("itemid")
    for mode in modes:
        settings = (("plan_cache_mode", mode),)
        rows = executions(ids, 1, rng)
        for text in ("SELECT i.id, a.location FROM item i JOIN aggregateitemlocation a ON a.item = i.id WHERE i.id = $1",
                     "SELECT i.id, a.location FROM item i LEFT JOIN aggregateitemlocation a ON a.item = i.id AND a.location < $1"
                     " WHERE i.id < 30",
                     "SELECT count(*), sum(quantity) FROM transactionline WHERE item = $1",
                     "SELECT item, count(*) FROM transactionline WHERE item > $1 GROUP BY item",
                     "SELECT id FROM item WHERE id > $1 + 1", "SELECT id FROM item WHERE id = abs($1)",
                     "SELECT id FROM item WHERE ($1 IS NULL OR id = $1)",
                     "SELECT id FROM item i WHERE EXISTS (SELECT FROM transactionline l WHERE l.item = i.id AND l.item < $1)"):
            yield Query(text, settings=settings, types="bigint", executions=rows)
        yield Query("SELECT id FROM item WHERE id = ANY ($1)", settings=settings, types="bigint[]",
                    executions=[("'{1,2,3}'",), ("'{}'",), ("NULL",), ("'{5,NULL}'",), ("'{7}'",), ("'{1,1,9}'",),
                                ("'{%s}'" % ",".join(map(str, range(1, 1200))),)])
        yield Query("SELECT id FROM item WHERE itemid = ANY ($1)", settings=settings, types="text[]",
                    executions=[("ARRAY[%s]" % ", ".join(texts.samples[:3]),), ("'{}'",), ("'{NULL,\"\"}'",)] * 3)
        for template in ("id <> ALL ($1)", "NOT (id = ANY ($1))", "id = ANY ($1) OR parent IS NULL",
                         "(id = ANY ($1)) IS NOT TRUE", "parent = ANY ($1)", "NOT (parent <> ALL ($1))"):
            yield Query("SELECT id, parent FROM customer WHERE " + template, settings=settings, types="bigint[]",
                        executions=[("'{1001,1002}'",), ("'{}'",), ("NULL",), ("'{1001,NULL}'",), ("'{NULL}'",),
                                    ("'{1007,1007}'",), ("'{}'",), ("'{1001}'",)])
        for text in LONE_PARAMETER:
            yield Query(text, settings=settings, types="bigint", ordered="ORDER BY" in text,
                        executions=[("1",), ("NULL",), ("1001",), ("5",), ("NULL",), ("NULL",), ("-1",), ("1013",)])
        yield Query("SELECT id FROM item WHERE itemid LIKE $1", settings=settings, types="text",
                    executions=[("'A%'",), ("'%1%'",), ("''",), ("NULL",), ("'%\\_%'",), ("'_%'",), (texts.samples[0],)])
        yield Query("SELECT id FROM item ORDER BY id LIMIT $1 OFFSET $2", ordered=True, settings=settings,
                    types="bigint, bigint", executions=[("5", "0"), ("5", "10"), ("0", "0"), ("NULL", "490"),
                                                        ("3", "NULL"), ("1", "1"), ("10", "100000")])
        yield Query("SELECT id FROM item WHERE lastmodifieddate > now() - $1", settings=settings, types="interval",
                    executions=[("'1 year'",), ("'10 days'",), ("'0'",), ("NULL",), ("'1 month'",), ("'-1 day'",),
                                ("'100 years'",)])


def every_condition_negated(tables):
    """NOT must leave out what is unknown, wherever the condition is decided."""
    rng = dice("negated")
    for kind in ("integer", "numeric", "text", "date", "timestamptz"):
        columns = [(table, column) for table in tables.values() for column in table.of_kind(kind)]
        for i, template in enumerate(ANY):
            table, column = columns[(7 * i) % len(columns)]
            yield Query("SELECT count(*) FROM %s WHERE NOT (%s)" % (table.name, fill(template, column, rng)))


SECTIONS = [plain_conditions, logic, between_columns, every_condition_negated, ordering, distinct, aggregates, grouping,
            joins, more_joins, subselects, in_lists, prepared]


def all_queries(tables):
    """(section, query), each text once."""
    seen = set()
    for section in SECTIONS:
        for query in section(tables):
            identity = (query.sql, query.settings, query.types)
            if identity not in seen:
                seen.add(identity)
                yield section.__name__, query
