"""Trouble on demand: what can go wrong, when it strikes, and how it looks on the wire.

A fault is a JSON object: {"kind": ..., "count": 1, "after": 0, "path": regex, "sql": regex, "table": name, ...}.
It strikes the next "count" requests (0: all) that match, leaving out the first "after".  README.md lists the kinds.
"""

import gzip
import json
import re
import threading
import zlib

CONNECT = {"hang_connect", "reset_connect", "hang_tls"}
INSTEAD = {"status", "401", "403", "429", "500", "502", "503", "504", "raw", "recorded", "oauth_error"}
BEFORE = {"delay", "hang", "hold", "reset", "expire_token", "change"}
AFTER = {"change_after"}
ROWS = {"invalid_utf8", "nul", "big_cell", "stuck", "duplicate", "early_end", "wrong_total", "wrong_count",
        "without_items", "extra_rows", "not_text", "lone_surrogate", "deep"}
BODY = {"torn", "cut", "drip", "chunked", "gzip_bomb", "content_type", "gzip_cut", "bad_chunk", "trailing",
        "bad_gzip"}
KINDS = CONNECT | INSTEAD | BEFORE | AFTER | ROWS | BODY

SHAPES = {
    "401": (401, "INVALID_LOGIN", "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite "
            "UI at Setup > Users/Roles > User Management > View Login Audit Trail."),
    "403": (403, "INSUFFICIENT_PERMISSION", "Permission Violation: You need a higher permission level to perform this "
            "operation."),
    "500": (500, "UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: jrgbpyylphhishmmlxyt"),
    "503": (503, "SERVICE_UNAVAILABLE", "The service is temporarily unavailable."),
    "504": (504, "GATEWAY_TIMEOUT", "The request timed out."),
}

HTML = ("<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n<body><h1>Bad Gateway</h1>"
        "<p>The proxy server received an invalid response from an upstream server.</p>"
        "<p>Reference&#32;&#35;18.13ecc017.1773305862.42932c0f</p></body></html>\n")


class Fault:
    kinds = KINDS

    def __init__(self, number, members):
        self.number = number
        self.members = dict(members)
        self.kind = str(self.members.get("kind"))
        if self.kind not in self.kinds:
            raise ValueError("no fault %r; there are: %s" % (self.kind, ", ".join(sorted(self.kinds))))
        self.left = int(self.members.get("count", 1)) or -1
        self.after = int(self.members.get("after", 0))
        self.struck = 0
        self.memory = None
        self.path = re.compile(self.members.get("path", ""))
        self.sql = re.compile(self.members["sql"], re.I | re.S) if "sql" in self.members else None
        self.table = None
        if "table" in self.members:
            self.table = re.compile(r"\bFROM\b.*\b%s\b" % re.escape(self.members["table"]), re.I | re.S)
        default = "query/v1/suiteql" if self.kind in ROWS else ""
        if "path" not in self.members and default:
            self.path = re.compile(default)

    def get(self, name, default=None):
        return self.members.get(name, default)

    def matches(self, path, sql):
        if not self.path.search(path):
            return False
        for wanted in (self.sql, self.table):
            if wanted is not None and not (sql and wanted.search(sql)):
                return False
        return True

    def describe(self):
        return dict(self.members, id=self.number, struck=self.struck, left=self.left)


class Faults:
    fault = Fault

    def __init__(self):
        self.lock = threading.Lock()
        self.armed = []
        self.next = 1

    def arm(self, members):
        with self.lock:
            fault = self.fault(self.next, members)
            self.next += 1
            self.armed.append(fault)
            return fault

    def clear(self, number=None):
        with self.lock:
            self.armed = [f for f in self.armed if number is not None and f.number != number]

    def is_armed(self, number):
        with self.lock:
            return any(f.number == number for f in self.armed)

    def strike(self, kinds, path="", sql=None):
        """The faults of these kinds that strike now, each counted once."""
        if not self.armed:
            return []
        found = []
        with self.lock:
            for fault in self.armed:
                if fault.kind not in kinds or fault.left == 0 or not fault.matches(path, sql):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.left -= 1 if fault.left > 0 else 0
                fault.struck += 1
                found.append(fault)
        return found

    def describe(self):
        with self.lock:
            return [f.describe() for f in self.armed]


def error_body(status, code, detail, extra=None, top=None):
    """NetSuite's error object."""
    titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
              429: "Bad Request", 500: "Internal Server Error", 503: "Service Unavailable", 504: "Gateway Timeout"}
    section = {4: "15.5.%d" % (status - 399), 5: "15.6.%d" % (status - 499)}.get(status // 100, "15")
    body = {"type": "https://www.rfc-editor.org/rfc/rfc9110.html#section-" + section,
            "title": titles.get(status, "Error"), "status": status}
    body.update(top or {})
    body["o:errorDetails"] = [dict({"detail": detail}, **dict(extra or {}, **{"o:errorCode": code}))]
    return json.dumps(body)


def concurrency_body():
    return json.dumps({
        "type": "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html", "title": "Bad Request", "status": 429,
        "o:errorCode": "USER_ERROR",
        "o:errorDetails": [{"detail": "Concurrent request limit exceeded. Request blocked.",
                            "o:errorCode": "CONCURRENCY_LIMIT_EXCEEDED"}]})


def instead(fault, realm):
    """(status, headers, body) that a fault of INSTEAD answers with."""
    kind = fault.kind
    headers = {}
    if fault.get("retry_after") is not None:
        headers["Retry-After"] = str(fault.get("retry_after"))
    if kind == "raw":
        return fault.get("status", 200), dict(fault.get("headers", {})), fault.get("body", "")
    if kind == "oauth_error":
        body = {"error": fault.get("error", "invalid_grant")}
        if fault.get("description"):
            body["error_description"] = fault.get("description")
        return fault.get("status", 400), dict(headers, **{"Content-Type": "application/json"}), json.dumps(body)
    if kind == "recorded":
        return recorded(fault.get("file"))
    if kind == "429":
        return 429, headers, concurrency_body()
    if kind == "502" or fault.get("html"):
        status = int(fault.get("status", kind if kind.isdigit() else 502))
        return status, dict(headers, **{"Content-Type": "text/html"}), HTML
    if kind == "status":
        status = fault.get("status", 500)
        return status, headers, error_body(status, fault.get("code", "UNEXPECTED_ERROR"), fault.get("detail", "armed"))
    status, code, detail = SHAPES[kind]
    if status == 401:
        headers["WWW-Authenticate"] = ('Bearer realm="%s", error="invalid_token", '
                                       'error_description="Invalid login attempt."' % realm)
    return status, headers, error_body(status, fault.get("code", code), fault.get("detail", detail))


def recorded(path):
    with open(path, encoding="utf-8") as file:
        response = json.load(file)["response"]
    keep = ("content-type", "preference-applied", "x-n-operationid", "x-netsuite-jobid", "vary", "expires", "pragma")
    headers = {k.title(): v for k, v in response["headers"].items() if k in keep}
    return response["status"], headers, json.dumps(response["body"], ensure_ascii=False)


# -- rows ---------------------------------------------------------------------

MARK = "\ue000simulator\ue000"


def text_cell(page, fault):
    """(row, column) of the cell that a fault spoils."""
    column = 0
    if fault.get("column"):
        column = page.names.index(fault.get("column").lower())
    elif len(page.names) > 1:
        column = 1
    row = min(fault.get("row", 0), len(page.rows) - 1)
    return row, column


def spoil_rows(fault, page):
    """Change the rows of a page before they are rendered."""
    kind = fault.kind
    if kind in ("invalid_utf8", "nul", "big_cell", "not_text", "lone_surrogate", "deep") and page.rows:
        at, column = text_cell(page, fault)
        row = list(page.rows[at])
        row[column] = "x" * fault.get("size", 2 * 1024 * 1024) if kind == "big_cell" else MARK
        page.rows = page.rows[:at] + [tuple(row)] + page.rows[at + 1:]
    elif kind == "stuck":
        if fault.memory is None:
            fault.memory = (list(page.rows), page.total, page.has_more)
        else:
            page.rows, page.total, page.has_more = fault.memory
    elif kind == "duplicate":
        n = fault.get("rows", 2)
        if fault.memory:
            page.rows = (fault.memory[-n:] + page.rows)[:max(page.limit, n)]
        fault.memory = list(page.rows)
    elif kind == "early_end":
        page.has_more = False
    elif kind == "wrong_total":
        page.total = fault.get("total", page.total + 7)
    elif kind == "extra_rows":
        page.rows = page.rows + page.rows[:fault.get("rows", 1)]


def spoil_text(fault, body):
    """Change a rendered body; takes and gives bytes."""
    kind = fault.kind
    mark = b'"%s"' % MARK.encode()
    if mark not in body:
        mark = json.dumps(MARK).encode()
    if kind == "invalid_utf8":
        return body.replace(mark, b'"bad \xc3\x28 \xff byte"')
    if kind == "nul":
        return body.replace(mark, b'"a\\u0000b"')
    if kind == "lone_surrogate":
        return body.replace(mark, b'"a\\ud800b"')
    if kind == "not_text":
        return body.replace(mark, json.dumps(fault.get("value", {"id": "1", "refName": "x"})).encode())
    if kind == "deep":
        return body.replace(mark, b"[" * 5000 + b"]" * 5000)
    if kind == "wrong_count":
        return re.sub(rb'"count":\d+', b'"count":%d' % fault.get("value", 3), body, count=1)
    if kind == "without_items":
        at = body.index(b'"items":[')
        end = body.rindex(b'],"offset"')
        return body[:at] + b'"items":null' + body[end + 1:] if fault.get("null") else body[:at] + body[end + 2:]
    return body


# -- bytes ---------------------------------------------------------------------

def bomb(megabytes):
    """A gzip stream that is small and inflates to megabytes of JSON that never ends."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b'{"links":[],"count":1,"items":[{"links":[],"id":"1","name":"')]
    block = b"a" * (1024 * 1024)
    for _ in range(megabytes):
        parts.append(packer.compress(block))
    parts.append(packer.compress(b'"}],"hasMore":false,"offset":0,"totalResults":1}'))
    parts.append(packer.flush())
    return b"".join(parts)


def squeeze(body):
    return gzip.compress(body, 1, mtime=0)
