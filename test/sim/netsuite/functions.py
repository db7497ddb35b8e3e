"""SuiteQL's functions, as far as Oracle lists them, written for PostgreSQL.

A name that is on Oracle's list but not here is refused as "not modelled" (see
the request log); a name that is not on the list is refused as NetSuite would.
"""

from gate import Refused
from values import (Expr, NULL, format_to_pg, parse_user_date, quote, read_timestamp, timestamp_literal)

SUPPORTED = set("""
ABS ACOS ADD_MONTHS APPROX_COUNT_DISTINCT ASCII ASCIISTR ASIN ATAN ATAN2 AVG BITAND CEIL CHR COALESCE COMPOSE CONCAT
CORR COS COSH COUNT COVAR_POP COVAR_SAMP CURRENT_DATE CURRENT_TIMESTAMP DECODE DECOMPOSE DENSE_RANK EXP FLOOR FROM_TZ
GREATEST INITCAP INSTR LAST_DAY LEAST LENGTH LENGTH2 LENGTH4 LENGTHB LENGTHC LN LOCALTIMESTAMP LOG LOWER LPAD LTRIM MAX
MEDIAN MIN MOD MONTHS_BETWEEN NANVL NEW_TIME NEXT_DAY NLSSORT NLS_INITCAP NLS_LOWER NLS_UPPER NULLIF NVL NVL2 ORA_HASH
POWER RANK REGEXP_INSTR REGEXP_REPLACE REGEXP_SUBSTR REMAINDER REPLACE ROUND ROW_NUMBER RPAD RTRIM SIGN SIN SINH SOUNDEX
SQRT SUBSTR SUM SYS_EXTRACT_UTC TAN TANH TO_BINARY_DOUBLE TO_BINARY_FLOAT TO_CHAR TO_CLOB TO_DATE TO_MULTI_BYTE TO_NCHAR
TO_NCLOB TO_NUMBER TO_SINGLE_BYTE TO_TIMESTAMP TO_TIMESTAMP_TZ TRANSLATE TRIM TRUNC TZ_OFFSET UNISTR UPPER VSIZE
WIDTH_BUCKET
""".split())

BUILTINS = set("""
BUILTIN.CF BUILTIN.CONSOLIDATE BUILTIN.CURRENCY BUILTIN.CURRENCY_CONVERT BUILTIN.DF BUILTIN.HIERARCHY BUILTIN.MNFILTER
BUILTIN.NAMED_GROUP BUILTIN.PERIOD BUILTIN.RELATIVE_RANGES
""".split())

NUMERIC = {"ABS": 1, "CEIL": 1, "EXP": 1, "FLOOR": 1, "LN": 1, "MOD": 2, "POWER": 2, "SIGN": 1, "SQRT": 1}


class Functions:
    """Mixed into Translator: uses its conversions and settings."""

    def function(self, name, args):
        if name not in SUPPORTED:
            raise Refused("%s is not a SuiteQL function" % name)
        if name in NUMERIC:
            self.arity(name, args, NUMERIC[name], NUMERIC[name])
            return Expr("%s(%s)" % (name.lower(), ", ".join(self.as_number(a).sql for a in args)), "number")
        handler = getattr(self, "function_" + name.lower(), None)
        if handler is None:
            raise Refused("%s is on Oracle's list but not modelled by this simulator" % name)
        return handler(args)

    def arity(self, name, args, least, most):
        if not least <= len(args) <= most:
            raise Refused("%s takes %d to %d arguments, not %d" % (name, least, most, len(args)))

    def constant(self, expr, what):
        if expr.type != "literal":
            raise Refused("%s must be a constant text" % what)
        return expr.value

    def text_result(self, sql):
        return Expr("NULLIF(%s, '')" % sql, "text")

    # -- nulls -------------------------------------------------------------

    def first_not_null(self, args):
        kind = self.common_type([a.type for a in args])
        return Expr("COALESCE(%s)" % ", ".join(self.convert(a, kind).sql for a in args), kind)

    def function_nvl(self, args):
        self.arity("NVL", args, 2, 2)
        kind = self.common_type([args[0].type]) if args[0].type != "null" else self.common_type([args[1].type])
        return Expr("COALESCE(%s)" % ", ".join(self.convert(a, kind).sql for a in args), kind)

    def function_coalesce(self, args):
        self.arity("COALESCE", args, 2, 100)
        return self.first_not_null(args)

    def function_nvl2(self, args):
        self.arity("NVL2", args, 3, 3)
        kind = self.common_type([a.type for a in args[1:]])
        return Expr("(CASE WHEN %s IS NOT NULL THEN %s ELSE %s END)" % (
            self.typed(args[0]).sql, self.convert(args[1], kind).sql, self.convert(args[2], kind).sql), kind)

    def function_nullif(self, args):
        self.arity("NULLIF", args, 2, 2)
        left, right = self.alike(args[0], args[1])
        return Expr("NULLIF(%s, %s)" % (left.sql, right.sql), left.type)

    def function_decode(self, args):
        self.arity("DECODE", args, 3, 255)
        subject, rest = args[0], args[1:]
        pairs = [(rest[i], rest[i + 1]) for i in range(0, len(rest) - 1, 2)]
        default = rest[-1] if len(rest) % 2 else NULL
        kind = self.common_type([r.type for _, r in pairs] + [default.type])
        text = ""
        for search, result in pairs:
            left, right = self.alike(subject, search)
            text += " WHEN %s IS NOT DISTINCT FROM %s THEN %s" % (left.sql, right.sql, self.convert(result, kind).sql)
        return Expr("(CASE%s ELSE %s END)" % (text, self.convert(default, kind).sql), kind)

    def extreme(self, name, args):
        self.arity(name, args, 1, 100)
        kind = self.common_type([a.type for a in args])
        cells = [self.convert(a, kind).sql for a in args]
        # Oracle's result is NULL as soon as one argument is.
        return Expr("(CASE WHEN %s THEN NULL ELSE %s(%s) END)" % (
            " OR ".join(c + " IS NULL" for c in cells), name.lower(), ", ".join(cells)), kind)

    def function_greatest(self, args):
        return self.extreme("GREATEST", args)

    def function_least(self, args):
        return self.extreme("LEAST", args)

    # -- text ----------------------------------------------------------------

    def one_text(self, name, args, sql):
        self.arity(name, args, 1, 1)
        return Expr(sql % self.as_text(args[0]).sql, "text")

    def function_upper(self, args):
        return self.one_text("UPPER", args, "upper(%s)")

    def function_lower(self, args):
        return self.one_text("LOWER", args, "lower(%s)")

    def function_initcap(self, args):
        return self.one_text("INITCAP", args, "initcap(%s)")

    def function_to_clob(self, args):
        return self.one_text("TO_CLOB", args, "%s")

    function_to_nchar = function_to_clob

    def function_chr(self, args):
        self.arity("CHR", args, 1, 1)
        return Expr("chr(%s::int)" % self.as_number(args[0]).sql, "text")

    def function_ascii(self, args):
        self.arity("ASCII", args, 1, 1)
        return Expr("ascii(%s)::numeric" % self.as_text(args[0]).sql, "number")

    def function_length(self, args):
        self.arity("LENGTH", args, 1, 1)
        return Expr("length(%s)::numeric" % self.as_text(args[0]).sql, "number")

    def function_lengthb(self, args):
        self.arity("LENGTHB", args, 1, 1)
        return Expr("octet_length(%s)::numeric" % self.as_text(args[0]).sql, "number")

    def function_concat(self, args):
        self.arity("CONCAT", args, 2, 2)
        return self.text_result("concat(%s)" % ", ".join(self.as_text(a).sql for a in args))

    def function_substr(self, args):
        self.arity("SUBSTR", args, 2, 3)
        parts = [self.as_text(args[0]).sql] + ["%s::int" % self.as_number(a).sql for a in args[1:]]
        return self.text_result("sim.substr(%s)" % ", ".join(parts))

    def function_instr(self, args):
        self.arity("INSTR", args, 2, 2)
        return Expr("strpos(%s, %s)::numeric" % (self.as_text(args[0]).sql, self.as_text(args[1]).sql), "number")

    def trim(self, name, args):
        self.arity(name, args, 1, 2)
        return self.text_result("%s(%s)" % ("btrim" if name == "TRIM" else name.lower(),
                                            ", ".join(self.as_text(a).sql for a in args)))

    def function_trim(self, args):
        self.arity("TRIM", args, 1, 1)
        return self.trim("TRIM", args)

    def function_ltrim(self, args):
        return self.trim("LTRIM", args)

    def function_rtrim(self, args):
        return self.trim("RTRIM", args)

    def pad(self, name, args):
        self.arity(name, args, 2, 3)
        parts = [self.as_text(args[0]).sql, "%s::int" % self.as_number(args[1]).sql]
        parts += [self.as_text(a).sql for a in args[2:]]
        return self.text_result("%s(%s)" % (name.lower(), ", ".join(parts)))

    def function_lpad(self, args):
        return self.pad("LPAD", args)

    def function_rpad(self, args):
        return self.pad("RPAD", args)

    def function_replace(self, args):
        self.arity("REPLACE", args, 2, 3)
        parts = [self.as_text(a).sql for a in args]
        by = "COALESCE(%s, '')" % parts[2] if len(parts) == 3 else "''"
        return self.text_result("COALESCE(replace(%s, %s, %s), %s)" % (parts[0], parts[1], by, parts[0]))

    def function_translate(self, args):
        self.arity("TRANSLATE", args, 3, 3)
        return self.text_result("translate(%s)" % ", ".join(self.as_text(a).sql for a in args))

    def function_regexp_replace(self, args):
        self.arity("REGEXP_REPLACE", args, 2, 3)
        parts = [self.as_text(a).sql for a in args] + ["''"]
        return self.text_result("regexp_replace(%s, %s, %s, 'g')" % tuple(parts[:3]))

    def function_regexp_substr(self, args):
        self.arity("REGEXP_SUBSTR", args, 2, 2)
        return self.text_result("substring(%s from %s)" % tuple(self.as_text(a).sql for a in args))

    # -- numbers ---------------------------------------------------------------

    def function_round(self, args):
        return self.rounded("ROUND", "round", args)

    def function_trunc(self, args):
        return self.rounded("TRUNC", "trunc", args)

    def rounded(self, name, word, args):
        self.arity(name, args, 1, 2)
        if args[0].type in ("date", "datetime"):
            if name != "TRUNC" or len(args) > 1:
                raise Refused("%s of a date with a unit is not modelled" % name)
            return Expr("date_trunc('day', (%s)::timestamp)" % args[0].sql, "date")
        parts = [self.as_number(args[0]).sql] + ["%s::int" % self.as_number(a).sql for a in args[1:]]
        return Expr("%s(%s)" % (word, ", ".join(parts)), "number")

    def function_to_number(self, args):
        self.arity("TO_NUMBER", args, 1, 1)
        return self.as_number(args[0])

    def function_bitand(self, args):
        self.arity("BITAND", args, 2, 2)
        return Expr("(%s::bigint & %s::bigint)::numeric" % tuple(self.as_number(a).sql for a in args), "number")

    # -- dates -----------------------------------------------------------------

    def parse_user_date(self, text):
        return parse_user_date(text, self.settings)

    def function_to_char(self, args):
        self.arity("TO_CHAR", args, 1, 2)
        arg = args[0]
        if len(args) == 1:
            return self.as_text(arg)
        form = self.constant(args[1], "the format of TO_CHAR")
        if arg.type in ("date", "datetime"):
            return Expr("to_char(%s, %s)" % (arg.sql, quote(format_to_pg(form))), "text")
        if arg.type == "number":
            if form.upper().replace("FM", "").strip("90DG.,SMI") or not form:
                raise Refused("number format %r is not modelled" % form)
            return Expr("to_char(%s, %s)" % (arg.sql, quote(form)), "text")
        if arg.type == "null":
            return NULL
        raise Refused("TO_CHAR of a text takes no format")

    def function_to_date(self, args):
        return self.to_timestamp("TO_DATE", args)

    def function_to_timestamp(self, args):
        return self.to_timestamp("TO_TIMESTAMP", args)

    def to_timestamp(self, name, args):
        self.arity(name, args, 1, 2)
        if args[0].type == "null":
            return Expr("NULL::timestamp", "date")
        if len(args) == 1:
            return self.parse_user_date(self.constant(args[0], "the argument of " + name))
        form = self.constant(args[1], "the format of " + name)
        if name == "TO_DATE" and "FF" in form.upper():
            raise Refused("TO_DATE knows no fractions")
        if args[0].type == "literal":
            value, _ = read_timestamp(args[0].value, form)
            return timestamp_literal(value)
        return Expr("sim.read_timestamp(%s, %s)" % (self.as_text(args[0]).sql, quote(format_to_pg(form))), "date")

    def function_to_timestamp_tz(self, args):
        self.arity("TO_TIMESTAMP_TZ", args, 2, 2)
        text = self.constant(args[0], "the argument of TO_TIMESTAMP_TZ")
        value, offset = read_timestamp(text, self.constant(args[1], "the format of TO_TIMESTAMP_TZ"))
        local = timestamp_literal(value).sql
        if offset is None:
            return Expr("(%s)::timestamptz" % local, "datetime")
        return Expr("((%s - interval '%d minutes') AT TIME ZONE 'UTC')" % (local, offset), "datetime")

    def function_sys_extract_utc(self, args):
        self.arity("SYS_EXTRACT_UTC", args, 1, 1)
        if not self.settings["utc_extraction"]:
            raise Refused("this account refuses SYS_EXTRACT_UTC (setting utc_extraction)")
        if args[0].type == "null":
            return Expr("NULL::timestamp", "date")
        if args[0].type != "datetime":
            raise Refused("SYS_EXTRACT_UTC needs a timestamp with a zone, not %s" % args[0].type)
        return Expr("(%s AT TIME ZONE 'UTC')" % args[0].sql, "date")

    def function_add_months(self, args):
        self.arity("ADD_MONTHS", args, 2, 2)
        return Expr("((%s)::timestamp + %s::int * interval '1 month')" % (
            self.as_date(args[0]).sql, self.as_number(args[1]).sql), "date")

    def function_last_day(self, args):
        self.arity("LAST_DAY", args, 1, 1)
        return Expr("(date_trunc('month', (%s)::timestamp) + interval '1 month -1 day')" %
                    self.as_date(args[0]).sql, "date")

    # -- BUILTIN -----------------------------------------------------------------

    def builtin(self, node, scope):
        name = node.name
        if name not in BUILTINS:
            raise Refused("%s is not a built-in function" % name)
        if name not in ("BUILTIN.DF", "BUILTIN.CF"):
            raise Refused("%s is not modelled by this simulator" % name)
        if len(node.args) != 1 or node.args[0].kind != "column":
            raise Refused("%s takes one column" % name)
        expr = self.column(node.args[0], scope)
        return self.display(expr) if name == "BUILTIN.DF" else self.criteria(expr)

    def display(self, expr):
        """The text a person sees for a list, record or status column."""
        if expr.column is None:
            raise Refused("BUILTIN.DF of a computed column")
        if expr.type in ("date", "datetime"):
            return self.as_text(expr)
        if expr.column.kind == "boolean":
            return Expr("(CASE %s WHEN 'T' THEN 'Yes' WHEN 'F' THEN 'No' END)" % expr.sql, "text")
        if expr.table == "transaction" and expr.column.name == "status" and expr.alias:
            return Expr("(SELECT s.fullname FROM netsuite.transactionstatus s WHERE s.trantype = %s.type AND s.id = %s)"
                        % (expr.alias, expr.sql), "text")
        target = self.account.display_target(expr.table, expr.column)
        if target is None:
            return self.as_text(expr)
        table, key, shown = target
        if table is None:
            return Expr("(%s || ' ' || %s)" % (quote(shown), self.as_text(expr).sql), "text")
        return Expr('(SELECT d."%s" FROM netsuite."%s" d WHERE d."%s" = %s)' % (shown, table, key, expr.sql), "text")

    def criteria(self, expr):
        if expr.table == "transaction" and expr.column.name == "status" and expr.alias:
            return Expr("(%s.type || ':' || %s)" % (expr.alias, expr.sql), "text")
        return expr
