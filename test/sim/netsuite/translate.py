"""From a SuiteQL tree to PostgreSQL text that means what NetSuite would mean.

Resolves tables and columns against the account (with the error texts NetSuite
is known to give), checks types the way Oracle converts them, and writes the
query for the private cluster.  Functions are in functions.py.
"""

from functions import Functions
from gate import Refused
from values import Expr, NULL, literal, number_literal, user_date

AGGREGATES = {"COUNT", "SUM", "AVG", "MIN", "MAX", "MEDIAN", "APPROX_COUNT_DISTINCT"}
RANKING = {"ROW_NUMBER", "RANK", "DENSE_RANK"}

# Oracle's reserved words that are columns somewhere but can't be an alias.
NOT_AN_ALIAS = set("""
access add audit cluster column comment compress current date decimal default file float identified immediate
increment index initial integer level lock long maxextents mode modify number online option pctfree privileges public
raw rename resource row rows session share size smallint successful synonym sysdate table trigger uid user validate
values varchar varchar2 view whenever
""".split())


class Source:
    """One member of a FROM clause: columns maps a name to its Expr."""

    def __init__(self, alias, table, columns):
        self.alias = alias
        self.table = table
        self.columns = columns


class TableColumns:
    """The columns of a table under an alias; tables are wide, so each is made when it is asked for."""

    def __init__(self, table, alias):
        self.table = table
        self.alias = alias

    def __contains__(self, name):
        return name in self.table.columns

    def __getitem__(self, name):
        return column_expr(self.alias, self.table.columns[name], self.table.name)

    def items(self):
        return [(name, self[name]) for name in self.table.columns]


class Scope:
    def __init__(self, parent=None):
        self.parent = parent
        self.sources = []

    def listing(self):
        return ", ".join("%s=%s" % (s.table or s.alias, s.alias) for s in self.sources)


class Output:
    """A translated query: its text names the columns c1 ... cn."""

    def __init__(self, sql, names, types):
        self.sql = sql
        self.names = names
        self.types = types


class Translator(Functions):
    def __init__(self, account, settings, params):
        self.account = account
        self.settings = settings
        self.params = params
        self.tables_used = set()
        self.derived = 0

    # -- queries ---------------------------------------------------------

    def translate(self, tree):
        if tree.params != len(self.params):
            raise Refused("%d placeholders, %d parameters" % (tree.params, len(self.params)))
        return self.query(tree, None)

    def query(self, tree, outer):
        if len(tree.arms) == 1 and not tree.operators:
            arm = tree.arms[0]
            if arm.kind == "query":
                return self.query(arm, outer)
            return self.select(arm, outer, tree.order, tree.fetch)
        outputs = [self.query(a, outer) if a.kind == "query" else self.select(a, outer, [], None)
                   for a in tree.arms]
        first = outputs[0]
        for other in outputs[1:]:
            if len(other.names) != len(first.names):
                raise Refused("set operation over different numbers of columns")
        types = [self.common_type([o.types[i] for o in outputs]) for i in range(len(first.names))]
        text = ""
        for i, output in enumerate(outputs):
            cells = ", ".join("%s AS c%d" % (self.convert(Expr("c%d" % (n + 1), output.types[n]), t).sql, n + 1)
                              for n, t in enumerate(types))
            word = tree.operators[i - 1].replace("MINUS", "EXCEPT") + " " if i else ""
            text += "%s(SELECT %s FROM (%s) u%d) " % (word, cells, output.sql, i)
        result = Output(text, first.names, types)
        order = [self.output_order(item, result) for item in tree.order]
        if order or tree.fetch is not None:
            result.sql = "SELECT * FROM (%s) s%s" % (text, self.tail(order, tree.fetch))
        return result

    def tail(self, order, limit):
        return ((" ORDER BY " + ", ".join(order)) if order else "") + \
            (" LIMIT %d" % limit if limit is not None else "")

    def output_order(self, item, output):
        """ORDER BY over a set operation: by position or output name only."""
        if item.expr.kind == "number":
            position = self.position(item.expr, len(output.names))
        elif item.expr.kind == "column" and item.expr.table is None and item.expr.name in output.names:
            position = output.names.index(item.expr.name)
        else:
            raise Refused("ORDER BY of a set operation must name an output column")
        return "c%d%s" % (position + 1, self.direction(item))

    def position(self, node, columns):
        if not node.text.isdigit() or not 1 <= int(node.text) <= columns:
            raise Refused("ORDER BY position %s" % node.text)
        return int(node.text) - 1

    def direction(self, item):
        return (" DESC" if item.descending else "") + (" NULLS " + item.nulls if item.nulls else "")

    def select(self, node, outer, order, fetch):
        scope = Scope(outer)
        sources = [self.source(s, scope) for s in node.sources]
        text = ", ".join(sources)
        where, limit = self.where(node.where, scope)
        where = (" WHERE " + where) if where else ""
        if limit is not None:
            text, scope = self.numbered(text, where, limit, scope, outer)
            where = ""
        items = self.items(node.items, scope)
        group = [self.group_item(g, scope) for g in node.group]
        having = self.condition(node.having, scope) if node.having else None
        ordering = []
        for item in order:
            ordering.append(self.order_item(item, node, items, scope) + self.direction(item))
        sql = "SELECT %s%s FROM %s%s" % (
            "DISTINCT " if node.distinct else "",
            ", ".join("%s AS c%d" % (self.typed(e).sql, i + 1) for i, (_, e) in enumerate(items)), text, where)
        if group:
            sql += " GROUP BY " + ", ".join(group)
        if having:
            sql += " HAVING " + having
        limits = [n for n in (fetch, node.top) if n is not None]
        sql += self.tail(ordering, min(limits) if limits else None)
        return Output(sql, [n for n, _ in items], [self.typed(e).type for _, e in items])

    def group_item(self, node, scope):
        if node.kind in ("number", "string", "nothing"):
            raise Refused("GROUP BY a constant")
        return self.value(node, scope).sql

    def order_item(self, item, node, items, scope):
        expr = item.expr
        if expr.kind == "number":
            return self.typed(items[self.position(expr, len(items))][1]).sql
        if expr.kind == "column" and expr.table is None:
            for selected, (name, value) in zip(node.items, items):
                if selected.kind == "item" and selected.alias == expr.name == name:
                    return self.typed(value).sql
        return self.typed(self.value(expr, scope)).sql

    def numbered(self, text, where, limit, scope, outer):
        """ROWNUM <= n counts before GROUP BY and ORDER BY: cut rows off in a derived table."""
        inside = Scope(outer)
        cells = []
        for source in scope.sources:
            columns = {}
            for name, expr in source.columns.items():
                cells.append("%s AS r%d" % (expr.sql, len(cells) + 1))
                columns[name] = expr.renamed("rn.r%d" % len(cells))
            inside.sources.append(Source(source.alias, source.table, columns))
        return "(SELECT %s FROM %s%s LIMIT %d) rn" % (", ".join(cells), text, where, limit), inside

    def where(self, node, scope):
        if node is None:
            return None, None
        limit = None
        kept = []
        for part in conjuncts(node):
            if part.kind == "compare" and "rownum" in (part.left.kind, part.right.kind):
                n = self.rownum_limit(part)
                limit = n if limit is None else min(limit, n)
            else:
                kept.append(self.condition(part, scope))
        return " AND ".join(kept), limit

    def rownum_limit(self, part):
        if part.left.kind != "rownum" or part.right.kind != "number" or not part.right.text.isdigit():
            raise Refused("ROWNUM is understood as ROWNUM <= n only")
        n = int(part.right.text)
        if part.op == "<=":
            return n
        if part.op == "<":
            return max(n - 1, 0)
        if part.op == "=":
            return 1 if n == 1 else 0
        raise Refused("ROWNUM %s never holds" % part.op)

    def items(self, nodes, scope):
        items = []
        expressions = 0
        for node in nodes:
            if node.kind == "star":
                items += self.star(node, scope)
                continue
            expr = self.value(node.expr, scope)
            name = node.alias
            if name in NOT_AN_ALIAS:
                raise Refused("%s is reserved and can't be an alias" % name)
            if name is None and node.expr.kind == "column":
                name = node.expr.name
            if name is None:
                expressions += 1
                name = "expr%d" % expressions
            items.append((name, expr))
        return items

    def star(self, node, scope):
        items = []
        for source in scope.sources:
            if node.table in (None, source.alias):
                items += [(name, e) for name, e in source.columns.items()
                          if not self.account.hidden_column(source.table, name)]
        if not items:
            raise self.unknown(node.table or "*", scope)
        return items

    # -- FROM ------------------------------------------------------------

    def source(self, node, scope):
        if node.kind == "join":
            left = self.source(node.left, scope)
            right = self.source(node.right, scope)
            if node.type == "CROSS":
                return "(%s CROSS JOIN %s)" % (left, right)
            return "(%s %s JOIN %s ON %s)" % (left, node.type, right, self.condition(node.on, scope))
        if node.kind == "derived":
            output = self.query(node.query, scope.parent)
            self.derived += 1
            alias = node.alias or "anonymous_%d" % self.derived
            sql_alias = "d%d" % self.derived
            columns = {}
            for i, (name, kind) in enumerate(zip(output.names, output.types)):
                columns.setdefault(name, Expr("%s.c%d" % (sql_alias, i + 1), kind))
            self.add_source(scope, Source(alias, None, columns))
            return "(%s) %s" % (output.sql, sql_alias)
        table = self.account.table(node.name)
        if table is None:
            raise Refused("no table %s" % node.text, "Invalid search type: %s." % node.text)
        self.account.check_table(table.name)
        self.tables_used.add(table.name)
        self.derived += 1
        sql_alias = "t%d" % self.derived
        self.add_source(scope, Source(node.alias or node.name, table.name, TableColumns(table, sql_alias)))
        return 'netsuite."%s" %s' % (table.name, sql_alias)

    def add_source(self, scope, source):
        if any(s.alias == source.alias for s in scope.sources):
            raise Refused("alias %s is used twice" % source.alias)
        scope.sources.append(source)

    def column(self, node, scope):
        at = scope
        while at is not None:
            found = [s for s in at.sources if (node.table is None or s.alias == node.table)
                     and node.name in s.columns]
            if len(found) > 1:
                raise Refused("column %s is ambiguous" % node.name)
            if found:
                source = found[0]
                if source.table:
                    self.account.check_column(source.table, node.name, lambda: self.unknown(node.text, scope))
                return source.columns[node.name]
            at = at.parent
        raise self.unknown(node.text, scope)

    def unknown(self, name, scope):
        return Refused("unknown column %s" % name, "Unknown identifier '%s'. Available identifiers are: {%s}."
                       % (name, scope.listing()))

    # -- conditions ------------------------------------------------------

    def condition(self, node, scope):
        handler = getattr(self, "condition_" + node.kind, None)
        if handler is None:
            raise Refused("a value stands where a condition should")
        return handler(node, scope)

    def condition_and(self, node, scope):
        return "(%s AND %s)" % (self.condition(node.left, scope), self.condition(node.right, scope))

    def condition_or(self, node, scope):
        return "(%s OR %s)" % (self.condition(node.left, scope), self.condition(node.right, scope))

    def condition_not(self, node, scope):
        return "(NOT %s)" % self.condition(node.arg, scope)

    def condition_exists(self, node, scope):
        return "EXISTS (%s)" % self.query(node.query, scope).sql

    def condition_null(self, node, scope):
        return "(%s IS %sNULL)" % (self.typed(self.value(node.arg, scope)).sql, "NOT " if node.negated else "")

    def condition_compare(self, node, scope):
        if node.left.kind == "column" and node.left.outer or node.right.kind == "column" and node.right.outer:
            raise Refused("(+) outer joins are not modelled by this simulator")
        return self.compare(node.op, self.value(node.left, scope), self.value(node.right, scope))

    def condition_between(self, node, scope):
        arg = self.value(node.arg, scope)
        text = "(%s AND %s)" % (self.compare(">=", arg, self.value(node.low, scope)),
                                self.compare("<=", arg, self.value(node.high, scope)))
        return "(NOT %s)" % text if node.negated else text

    def condition_in(self, node, scope):
        arg = self.value(node.arg, scope)
        pairs = [self.folded(*self.alike(arg, self.value(member, scope))) for member in node.members]
        return "(%s %sIN (%s))" % (pairs[-1][0].sql, "NOT " if node.negated else "",
                                   ", ".join(right.sql for _, right in pairs))

    def condition_in_query(self, node, scope):
        output = self.query(node.query, scope)
        if len(output.names) != 1:
            raise Refused("IN sub-select of %d columns" % len(output.names))
        left, right = self.alike(self.value(node.arg, scope), Expr("q.c1", output.types[0]))
        return "(%s %sIN (SELECT %s FROM (%s) q))" % (left.sql, "NOT " if node.negated else "", right.sql, output.sql)

    def condition_like(self, node, scope):
        arg = self.as_text(self.value(node.arg, scope))
        pattern = self.as_text(self.value(node.pattern, scope))
        escape = "''"
        if node.escape is not None:
            escape = self.as_text(self.value(node.escape, scope)).sql
        return "(%s %s%s %s ESCAPE %s)" % (arg.sql, "NOT " if node.negated else "",
                                           "ILIKE" if self.settings["text_compare"] == "insensitive" else "LIKE",
                                           pattern.sql, escape)

    def folded(self, left, right):
        """Both sides of an equality, without regard to case where the account compares so; codes stay exact."""
        codes = any(e.column is not None and e.column.code for e in (left, right))
        if left.type != "text" or codes or self.settings["text_compare"] != "insensitive":
            return left, right
        return Expr("lower(%s)" % left.sql, "text"), Expr("lower(%s)" % right.sql, "text")

    def compare(self, op, left, right):
        left, right = self.alike(left, right)
        if op in ("=", "<>"):
            left, right = self.folded(left, right)
        return "(%s %s %s)" % (left.sql, op, right.sql)

    def alike(self, left, right):
        """Both sides in one type, converted the way Oracle does it."""
        if left.type == "number" or right.type == "number":
            return self.as_number(left), self.as_number(right)
        if left.type in ("date", "datetime") or right.type in ("date", "datetime"):
            return self.as_date(left), self.as_date(right)
        return self.as_text(left), self.as_text(right)

    # -- conversions -----------------------------------------------------

    def as_number(self, expr):
        if expr.type in ("number", "null"):
            return expr if expr.type == "number" else Expr("NULL::numeric", "number")
        if expr.type == "literal":
            return number_literal(expr.value)
        if expr.type == "text":
            return Expr("sim.to_number(%s)" % expr.sql, "number")
        raise Refused("a date stands where a number should")

    def as_text(self, expr):
        if expr.type in ("literal", "null"):
            return Expr(expr.sql if expr.type == "literal" else "NULL::text", "text")
        if expr.type == "number":
            return Expr("sim.number_text(%s)" % expr.sql, "text")
        if expr.type in ("date", "datetime"):
            return Expr(user_date(expr.sql, self.settings), "text")
        return expr

    def as_date(self, expr):
        if expr.type in ("date", "datetime"):
            return expr
        if expr.type == "null":
            return Expr("NULL::timestamp", "date")
        if expr.type == "literal":
            return self.parse_user_date(expr.value)
        raise Refused("%s stands where a date should" % expr.type)

    def typed(self, expr):
        """Literals and NULLs as text."""
        return self.as_text(expr) if expr.type in ("literal", "null") else expr

    def convert(self, expr, kind):
        if kind == "number":
            return self.as_number(expr)
        if kind == "date" and expr.type == "datetime":
            return Expr("(%s)::timestamp" % expr.sql, "date")
        if kind in ("date", "datetime"):
            return self.as_date(expr)
        return self.as_text(expr)

    def common_type(self, types):
        known = {t for t in types if t not in ("null", "literal")}
        if not known:
            return "text"
        if len(known) == 1:
            return known.pop()
        return "date" if known == {"date", "datetime"} else "text"

    # -- values ----------------------------------------------------------

    def value(self, node, scope):
        handler = getattr(self, "value_" + node.kind, None)
        if handler is None:
            raise Refused("a condition stands where a value should")
        return handler(node, scope)

    def value_number(self, node, scope):
        return Expr(node.text + "::numeric", "number")

    def value_string(self, node, scope):
        return literal(node.value)

    def value_param(self, node, scope):
        value = self.params[node.index]
        if value is None:
            return NULL
        if not isinstance(value, str):
            value = "T" if value is True else "F" if value is False else str(value)
        return literal(value)

    def value_nothing(self, node, scope):
        return NULL

    def value_rownum(self, node, scope):
        return Expr("(row_number() OVER ())::numeric", "number")

    def value_column(self, node, scope):
        return self.column(node, scope)

    def value_scalar(self, node, scope):
        output = self.query(node.query, scope)
        if len(output.names) != 1:
            raise Refused("scalar sub-select of %d columns" % len(output.names))
        return Expr("(%s)" % output.sql, output.types[0])

    def value_concat(self, node, scope):
        left = self.as_text(self.value(node.left, scope))
        right = self.as_text(self.value(node.right, scope))
        return Expr("NULLIF(concat(%s, %s), '')" % (left.sql, right.sql), "text")

    def value_minus(self, node, scope):
        return Expr("(- %s)" % self.as_number(self.value(node.arg, scope)).sql, "number")

    def value_arith(self, node, scope):
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if node.op in "+-" and (left.type in ("date", "datetime") or right.type in ("date", "datetime")):
            return self.date_arith(node.op, left, right)
        if node.op == "+" and "text" in (left.type, right.type):
            raise Refused("+ does not join texts")
        left, right = self.as_number(left), self.as_number(right)
        return Expr("(%s %s %s)" % (left.sql, node.op, right.sql), "number")

    def date_arith(self, op, left, right):
        dates = ("date", "datetime")
        if left.type in dates and right.type in dates:
            if op == "+":
                raise Refused("dates can't be added")
            return Expr("(extract(epoch FROM (%s)::timestamp - (%s)::timestamp) / 86400)" % (left.sql, right.sql),
                        "number")
        if right.type in dates:
            if op == "-":
                raise Refused("number minus date")
            left, right = right, left
        return Expr("((%s)::timestamp %s %s * interval '1 day')" % (left.sql, op, self.as_number(right).sql), "date")

    def value_case(self, node, scope):
        operand = self.value(node.operand, scope) if node.operand is not None else None
        tests, results = [], []
        for test, result in node.arms:
            if operand is None:
                tests.append(self.condition(test, scope))
            else:
                tests.append(self.compare("=", operand, self.value(test, scope)))
            results.append(self.value(result, scope))
        results.append(self.value(node.otherwise, scope) if node.otherwise is not None else NULL)
        kind = self.common_type([r.type for r in results])
        text = " ".join("WHEN %s THEN %s" % (t, self.convert(r, kind).sql) for t, r in zip(tests, results))
        return Expr("(CASE %s ELSE %s END)" % (text, self.convert(results[-1], kind).sql), kind)

    def value_call(self, node, scope):
        if node.name in AGGREGATES or node.name in RANKING:
            return self.aggregate(node, scope)
        if node.over is not None or node.star or node.distinct:
            raise Refused("%s takes neither *, DISTINCT nor OVER" % node.name)
        if node.name.startswith("BUILTIN."):
            return self.builtin(node, scope)
        return self.function(node.name, [self.value(a, scope) for a in node.args])

    def aggregate(self, node, scope):
        name = node.name
        if name in RANKING:
            if node.over is None or node.args or not node.over.order:
                raise Refused("%s needs OVER (... ORDER BY ...)" % name)
            return Expr("(%s() %s)::numeric" % (name.lower(), self.window(node.over, scope)), "number")
        if node.star:
            if name != "COUNT":
                raise Refused("%s(*)" % name)
            call, kind = "count(*)", "number"
        else:
            if len(node.args) != 1:
                raise Refused("%s takes one argument" % name)
            call, kind = self.aggregate_call(name, self.typed(self.value(node.args[0], scope)), node.distinct)
        if node.over is not None:
            call += " " + self.window(node.over, scope)
        return Expr("(%s)::numeric" % call if kind == "number" else call, kind)

    def aggregate_call(self, name, arg, distinct):
        word = "DISTINCT " if distinct else ""
        if name == "COUNT":
            return "count(%s%s)" % (word, arg.sql), "number"
        if name == "APPROX_COUNT_DISTINCT":
            return "count(DISTINCT %s)" % arg.sql, "number"
        if name in ("MIN", "MAX"):
            return "%s(%s)" % (name.lower(), arg.sql), arg.type
        number = self.as_number(arg)
        if name == "MEDIAN":
            return "percentile_cont(0.5) WITHIN GROUP (ORDER BY %s)" % number.sql, "number"
        return "%s(%s%s)" % (name.lower(), word, number.sql), "number"

    def window(self, over, scope):
        parts = []
        if over.partition:
            parts.append("PARTITION BY " + ", ".join(self.value(p, scope).sql for p in over.partition))
        if over.order:
            parts.append("ORDER BY " + ", ".join(self.typed(self.value(o.expr, scope)).sql + self.direction(o)
                                                 for o in over.order))
        return "OVER (%s)" % " ".join(parts)


def conjuncts(node):
    if node.kind == "and":
        return conjuncts(node.left) + conjuncts(node.right)
    return [node]


def column_expr(alias, column, table):
    kinds = {"integer": "number", "boolean": "text"}
    return Expr('%s."%s"' % (alias, column.name), kinds.get(column.kind, column.kind), column=column, table=table,
                alias=alias)
