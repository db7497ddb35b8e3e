"""The SuiteQL gate: tokenizer and recursive-descent parser.

Turns a query text into a tree, or raises Refused for whatever SuiteQL does
not take.  Knows syntax only: names, types and rights are translate.py's.
What is refused here although the public record is silent or contradictory is
listed as "modelled" in README.md.
"""

import re


class Refused(Exception):
    """NetSuite would answer this query with an error.

    detail is the text of the error body behind "Search error occurred: ";
    reason says why in the simulator's own words (request log only).
    """

    def __init__(self, reason, detail="Invalid or unsupported search.", status=400):
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.status = status


class Node:
    """A tree node: kind plus whatever members that kind has."""

    def __init__(self, kind, **members):
        self.kind = kind
        self.__dict__.update(members)

    def __repr__(self):
        rest = {k: v for k, v in self.__dict__.items() if k != "kind"}
        return "%s%r" % (self.kind, rest)


TOKEN = re.compile(r"""
      (?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"[^"]*")
    | (?P<name>[A-Za-z_][A-Za-z0-9_$\#]*)
    | (?P<op>\|\||<=|>=|<>|!=|[-+*/=<>(),.?])
""", re.X | re.S)

RESERVED = set("""
ALL AND ANY AS ASC BETWEEN BY CASE CROSS DESC DISTINCT ELSE END ESCAPE EXISTS EXCEPT FETCH FROM FULL GROUP
HAVING IN INNER INTERSECT IS JOIN LEFT LIKE LIMIT MINUS NATURAL NOT NULL OFFSET ON OR ORDER OUTER RIGHT ROWNUM SELECT
SOME THEN UNION USING WHEN WHERE WITH START CONNECT FOR
""".split())

MAX_IN_LIST = 1000

STATEMENTS = {"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "EXPLAIN", "BEGIN", "CALL", "SET"}


class Token:
    __slots__ = ("type", "text", "upper", "start")

    def __init__(self, kind, text, start):
        self.type = kind
        self.text = text
        self.upper = text.upper() if kind == "name" else text
        self.start = start


def tokenize(sql):
    tokens = []
    at = 0
    while at < len(sql):
        found = TOKEN.match(sql, at)
        if not found:
            raise Refused("character %r at %d is not SuiteQL" % (sql[at], at))
        kind = found.lastgroup
        if kind != "space":
            tokens.append(Token(kind, found.group(), at))
        at = found.end()
    tokens.append(Token("end", "", at))
    return tokens


class Parser:
    def __init__(self, sql, lenient=()):
        self.tokens = tokenize(sql)
        self.at = 0
        self.depth = 0
        self.params = 0
        self.lenient = lenient
        self.ansi_join = False
        self.oracle_join = False
        self.slow = False

    # -- tokens ----------------------------------------------------------

    @property
    def token(self):
        return self.tokens[self.at]

    def peek(self, ahead=1):
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def is_word(self, *words):
        return self.token.type == "name" and self.token.upper in words

    def is_op(self, *ops):
        return self.token.type == "op" and self.token.text in ops

    def take(self):
        token = self.token
        self.at += 1
        return token

    def accept_word(self, *words):
        if self.is_word(*words):
            return self.take()
        return None

    def accept_op(self, *ops):
        if self.is_op(*ops):
            return self.take()
        return None

    def need_word(self, *words):
        token = self.accept_word(*words)
        if not token:
            raise Refused("expected %s near %r" % (" or ".join(words), self.near()))
        return token

    def need_op(self, op):
        token = self.accept_op(op)
        if not token:
            raise Refused("expected %r near %r" % (op, self.near()))
        return token

    def near(self):
        return " ".join(t.text for t in self.tokens[self.at:self.at + 4])

    # -- queries ---------------------------------------------------------

    def parse(self):
        if self.is_word("WITH"):
            raise Refused("WITH is not allowed")
        if self.is_word(*STATEMENTS):
            raise Refused("only SELECT is allowed")
        tree = self.query()
        if self.token.type != "end":
            raise Refused("unexpected text at %r" % self.near())
        tree.params = self.params
        tree.slow = self.slow
        if self.ansi_join and self.oracle_join:
            raise Refused("ANSI and Oracle join syntax are mixed")
        return tree

    def query(self):
        left = self.query_term()
        arms = [left]
        operators = []
        while self.is_word("UNION", "INTERSECT", "MINUS", "EXCEPT"):
            word = self.take().upper
            if word == "EXCEPT":
                raise Refused("EXCEPT is not SuiteQL")
            if self.accept_word("ALL"):
                word += " ALL"
            operators.append(word)
            arms.append(self.query_term())
        order = self.order_by() if self.is_word("ORDER") else []
        fetch = self.fetch()
        self.refuse_tail()
        return Node("query", arms=arms, operators=operators, order=order, fetch=fetch)

    def query_term(self):
        if self.accept_op("("):
            inner = self.query()
            self.need_op(")")
            if inner.order or inner.fetch is not None:
                raise Refused("ORDER BY inside a parenthesised member of a set operation")
            return inner
        return self.select()

    def refuse_tail(self):
        if self.is_word("LIMIT"):
            raise Refused("LIMIT is not SuiteQL")
        if self.is_word("OFFSET"):
            raise Refused("OFFSET is not taken")
        if self.is_word("WINDOW", "QUALIFY", "FOR"):
            raise Refused("%s is not SuiteQL" % self.token.text)

    def order_by(self):
        self.need_word("ORDER")
        self.need_word("BY")
        return self.order_items()

    def order_items(self):
        items = []
        while True:
            expr = self.expression()
            descending = bool(self.accept_word("DESC"))
            if not descending:
                self.accept_word("ASC")
            nulls = None
            if self.accept_word("NULLS"):
                nulls = self.need_word("FIRST", "LAST").upper
                if "nulls_order" not in self.lenient:
                    raise Refused("NULLS FIRST/LAST is unverified")
            items.append(Node("order", expr=expr, descending=descending, nulls=nulls))
            if not self.accept_op(","):
                return items

    def fetch(self):
        if not self.accept_word("FETCH"):
            return None
        self.need_word("FIRST", "NEXT")
        number = self.take()
        if number.type != "number" or not number.text.isdigit():
            raise Refused("FETCH FIRST needs a whole number")
        self.need_word("ROWS", "ROW")
        self.need_word("ONLY")
        return int(number.text)

    def select(self):
        self.need_word("SELECT")
        distinct = bool(self.accept_word("DISTINCT"))
        if not distinct:
            self.accept_word("ALL")
        top = None
        if self.is_word("TOP") and self.peek().type == "number":
            self.take()
            top = int(self.take().text)
            self.slow = True
        items = self.select_items()
        sources = []
        if self.accept_word("FROM"):
            sources = self.from_list()
        else:
            raise Refused("FROM is missing")
        where = self.condition() if self.accept_word("WHERE") else None
        if self.is_word("START", "CONNECT"):
            raise Refused("hierarchical queries are not SuiteQL")
        group = []
        if self.accept_word("GROUP"):
            self.need_word("BY")
            group.append(self.expression())
            while self.accept_op(","):
                group.append(self.expression())
        having = self.condition() if self.accept_word("HAVING") else None
        return Node("select", distinct=distinct, top=top, items=items, sources=sources, where=where,
                    group=group, having=having)

    def select_items(self):
        items = []
        while True:
            if self.accept_op("*"):
                items.append(Node("star", table=None))
            elif (self.token.type == "name" and self.peek().text == "." and self.peek(2).text == "*"
                  and self.token.upper not in RESERVED):
                table = self.take().text.lower()
                self.at += 2
                items.append(Node("star", table=table))
            else:
                expr = self.expression()
                items.append(Node("item", expr=expr, alias=self.alias()))
            if not self.accept_op(","):
                return items

    def alias(self):
        explicit = self.accept_word("AS")
        if self.token.type == "quoted":
            if self.depth:
                raise Refused("quoted alias in a sub-select")
            return self.take().text[1:-1].lower()
        if self.token.type == "name" and self.token.upper not in RESERVED:
            return self.take().text.lower()
        if explicit:
            raise Refused("alias expected near %r" % self.near())
        return None

    def from_list(self):
        sources = [self.joined()]
        while self.accept_op(","):
            self.oracle_join = True
            sources.append(self.joined())
        return sources

    def joined(self):
        left = self.source()
        while True:
            if self.is_word("RIGHT", "FULL", "NATURAL"):
                raise Refused("%s JOIN is not taken" % self.token.upper)
            if self.accept_word("CROSS"):
                self.need_word("JOIN")
                left = Node("join", type="CROSS", left=left, right=self.source(), on=None)
            elif self.is_word("INNER", "JOIN", "LEFT"):
                kind = "LEFT" if self.accept_word("LEFT") else "INNER"
                if kind == "LEFT":
                    self.accept_word("OUTER")
                else:
                    self.accept_word("INNER")
                self.need_word("JOIN")
                right = self.source()
                if self.is_word("USING"):
                    raise Refused("USING is not taken")
                self.need_word("ON")
                left = Node("join", type=kind, left=left, right=right, on=self.condition())
            else:
                return left
            self.ansi_join = True

    def source(self):
        if self.accept_op("("):
            if not self.is_word("SELECT"):
                inner = self.joined()
                self.need_op(")")
                return inner
            query = self.subquery()
            self.need_op(")")
            return Node("derived", query=query, alias=self.alias())
        token = self.take()
        if token.type != "name" or token.upper in RESERVED:
            raise Refused("table expected near %r" % token.text)
        if self.is_op(".", "("):
            raise Refused("qualified table names and table functions are not taken")
        return Node("table", name=token.text.lower(), text=token.text, alias=self.alias())

    def subquery(self):
        self.depth += 1
        tree = self.query()
        self.depth -= 1
        return tree

    # -- expressions -----------------------------------------------------

    def condition(self):
        return self.expression()

    def expression(self):
        left = self.conjunction()
        while self.accept_word("OR"):
            left = Node("or", left=left, right=self.conjunction())
        return left

    def conjunction(self):
        left = self.negation()
        while self.accept_word("AND"):
            left = Node("and", left=left, right=self.negation())
        return left

    def negation(self):
        if self.accept_word("NOT"):
            return Node("not", arg=self.negation())
        return self.predicate()

    def predicate(self):
        if self.is_word("EXISTS"):
            self.take()
            self.need_op("(")
            query = self.subquery()
            self.need_op(")")
            return Node("exists", query=query)
        left = self.concat()
        while True:
            if self.is_op("=", "<>", "!=", "<", "<=", ">", ">="):
                op = self.take().text
                if self.is_word("ANY", "ALL", "SOME"):
                    raise Refused("quantified comparison")
                left = Node("compare", op="<>" if op == "!=" else op, left=left, right=self.concat())
            elif self.accept_word("IS"):
                negated = bool(self.accept_word("NOT"))
                if not self.accept_word("NULL"):
                    raise Refused("IS knows only [NOT] NULL, near %r" % self.near())
                left = Node("null", arg=left, negated=negated)
            else:
                negated = False
                if self.is_word("NOT") and self.peek().upper in ("IN", "LIKE", "BETWEEN"):
                    self.take()
                    negated = True
                if self.accept_word("IN"):
                    left = self.in_list(left, negated)
                elif self.accept_word("LIKE"):
                    left = self.like(left, negated)
                elif self.accept_word("BETWEEN"):
                    low = self.concat()
                    self.need_word("AND")
                    left = Node("between", arg=left, low=low, high=self.concat(), negated=negated)
                else:
                    if self.is_word("ILIKE", "SIMILAR", "RLIKE", "REGEXP", "GLOB"):
                        raise Refused("%s is not SuiteQL" % self.token.text)
                    return left

    def in_list(self, left, negated):
        self.need_op("(")
        if self.is_word("SELECT"):
            query = self.subquery()
            self.need_op(")")
            return Node("in_query", arg=left, query=query, negated=negated)
        members = [self.concat()]
        while self.accept_op(","):
            members.append(self.concat())
        self.need_op(")")
        if len(members) > MAX_IN_LIST:
            raise Refused("IN list of %d members, more than %d" % (len(members), MAX_IN_LIST))
        return Node("in", arg=left, members=members, negated=negated)

    def like(self, left, negated):
        pattern = self.concat()
        escape = None
        if self.accept_word("ESCAPE"):
            if "like_escape" not in self.lenient:
                raise Refused("LIKE ... ESCAPE is unverified")
            escape = self.primary()
        return Node("like", arg=left, pattern=pattern, escape=escape, negated=negated)

    def concat(self):
        left = self.sum()
        while self.accept_op("||"):
            left = Node("concat", left=left, right=self.sum())
        return left

    def sum(self):
        left = self.product()
        while self.is_op("+", "-"):
            op = self.take().text
            left = Node("arith", op=op, left=left, right=self.product())
        return left

    def product(self):
        left = self.unary()
        while self.is_op("*", "/"):
            op = self.take().text
            left = Node("arith", op=op, left=left, right=self.unary())
        return left

    def unary(self):
        if self.accept_op("-"):
            return Node("minus", arg=self.unary())
        if self.accept_op("+"):
            return self.unary()
        return self.primary()

    def primary(self):
        token = self.token
        if token.type == "number":
            self.take()
            return Node("number", text=token.text, start=token.start)
        if token.type == "string":
            self.take()
            return Node("string", value=token.text[1:-1].replace("''", "'"))
        if token.type == "quoted":
            raise Refused("quoted identifier in an expression")
        if self.accept_op("?"):
            self.params += 1
            return Node("param", index=self.params - 1)
        if self.accept_op("("):
            return self.parenthesis()
        if token.type != "name":
            raise Refused("expression expected near %r" % self.near())
        if token.upper == "CASE":
            return self.case()
        if token.upper == "NULL":
            self.take()
            return Node("nothing")
        if token.upper == "ROWNUM":
            self.take()
            return Node("rownum")
        if token.upper in ("DATE", "TIMESTAMP", "INTERVAL") and self.peek().type == "string":
            raise Refused("%s literals are not taken" % token.upper)
        if token.upper in ("TRUE", "FALSE") and self.peek().text not in (".", "("):
            raise Refused("boolean literals are not SuiteQL")
        if token.upper in RESERVED and self.peek().text != "(":
            raise Refused("expression expected near %r" % self.near())
        return self.name_or_call()

    def parenthesis(self):
        if self.is_word("SELECT"):
            query = self.subquery()
            self.need_op(")")
            return Node("scalar", query=query)
        inner = self.expression()
        if self.is_op(","):
            raise Refused("row values are not taken")
        self.need_op(")")
        return inner

    def case(self):
        self.take()
        operand = None if self.is_word("WHEN") else self.concat()
        arms = []
        while self.accept_word("WHEN"):
            test = self.concat() if operand is not None else self.condition()
            self.need_word("THEN")
            arms.append((test, self.concat()))
        if not arms:
            raise Refused("CASE without WHEN")
        otherwise = self.concat() if self.accept_word("ELSE") else None
        self.need_word("END")
        return Node("case", operand=operand, arms=arms, otherwise=otherwise)

    def name_or_call(self):
        parts = [self.take().text]
        while self.is_op(".") and self.peek().type in ("name", "quoted"):
            self.take()
            token = self.take()
            if token.type == "quoted":
                raise Refused("quoted identifier in an expression")
            parts.append(token.text)
        if self.is_op("(") and not (self.peek().text == "+" and self.peek(2).text == ")"):
            return self.call(".".join(parts).upper())
        if len(parts) > 2:
            raise Refused("name of %d parts" % len(parts))
        outer = False
        if self.is_op("("):
            self.at += 3
            outer = True
            self.oracle_join = True
        return Node("column", table=parts[0].lower() if len(parts) == 2 else None, name=parts[-1].lower(),
                    text=parts[-1], outer=outer)

    def call(self, name):
        self.need_op("(")
        distinct = star = False
        args = []
        if self.accept_op("*"):
            star = True
        elif not self.is_op(")"):
            distinct = bool(self.accept_word("DISTINCT"))
            if self.is_word("SELECT"):
                raise Refused("sub-select as an argument needs its own parentheses")
            args.append(self.concat())
            if self.is_word("AS", "FROM", "USING", "IN", "FOR"):
                raise Refused("%s(... %s ...) is not SuiteQL" % (name, self.token.upper))
            while self.accept_op(","):
                args.append(self.concat())
        self.need_op(")")
        if self.is_word("WITHIN", "FILTER", "KEEP"):
            raise Refused("%s is not SuiteQL" % self.token.upper)
        over = self.over() if self.accept_word("OVER") else None
        return Node("call", name=name, args=args, distinct=distinct, star=star, over=over)

    def over(self):
        self.need_op("(")
        partition = []
        order = []
        if self.accept_word("PARTITION"):
            self.need_word("BY")
            partition.append(self.concat())
            while self.accept_op(","):
                partition.append(self.concat())
        if self.is_word("ORDER"):
            order = self.order_by()
        if self.is_word("ROWS", "RANGE"):
            raise Refused("window frames are not modelled")
        self.need_op(")")
        return Node("over", partition=partition, order=order)


def parse(sql, lenient=()):
    """Tree of a query text; raises Refused."""
    return Parser(sql, lenient).parse()
