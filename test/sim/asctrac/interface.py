"""The interface service: routing as ASP.NET Web API does it, bearer tokens, feeds, and the answers' two forms."""

import base64
import json
import re
import secrets
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

from dotnet import encode, encode_all
from feed import Apostrophe, Filters
from imports import IMPORTS, Imports, Reason
from server import Answer

JSON = "application/json; charset=utf-8"
NULL_REFERENCE = "Object reference not set to an instance of an object."
REASONS = {200: "OK", 400: "BadRequest", 412: "Accepted", 500: "InternalServerError"}

TOKEN_PATHS = ("/api/authorize", "/asctracauthapi/api/authorize")

# Controllers: what each verb needs in the query, None where the controller has no such verb.
EXPORTS = ("tranfileexport", "polinesexport", "policensesexport", "custorderexport", "custorderstatusexport",
           "parcelexport")
PICKS = ("wcspicks", "wcsunpick", "wcsrepick", "wcscancel")
OPEN = ("values", "qchold", "custordershipimport")      # no authentication filter

BODY_NAMES = {
    "tranfileexport": {"aexcludetrantype": "exclude", "acustid": "customer"},
    "polinesexport": {"aonlysendcompletedreceipt": "completed"},
    "policensesexport": {"aonlysendcompletedreceipt": "completed"},
    "custorderexport": {"aexportshipmenttype": "kind", "acustid": "customer", "aedimastercustid": "master",
                        "maxrecords": "limit"},
    "custorderstatusexport": {"aexportshipmenttype": "ignored", "acustid": "customer", "aedimastercustid": "ignored",
                              "maxrecords": "limit"},
    "parcelexport": {"acustid": "customer", "aedimastercustid": "master"},
}
QUERY_NAMES = {"acustid": "customer", "aexcludetrantype": "exclude", "aonlysendcompletedreceipt": "completed",
               "aordertype": "order_type"}


def verbs():
    found = {name: {"GET", "PUT"} for name in EXPORTS}
    found.update(inventoryaudit={"GET"}, wcspicks={"GET", "POST"}, custordershipimport={"PUT"}, values={"GET"})
    found.update({name: {"POST"} for name in PICKS[1:]})
    found.update({name: {"POST"} for name in IMPORTS})
    return found


VERBS = verbs()


class Fail(Exception):
    """An HttpError: {"Message": ...}."""

    def __init__(self, status, message, headers=None, **more):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = dict({"Message": message}, **more)


class Tokens:
    """ASCREST_AUTH: which tokens are good until when; and the service that issues them."""

    def __init__(self, settings):
        self.settings = settings
        self.client_id = secrets.token_hex(16)
        self.client_secret = secrets.token_urlsafe(24)
        self.fixed = secrets.token_hex(24)
        self.good = {self.fixed: float("inf")}
        self.lock = threading.Lock()
        self.issued = 0

    def check(self, header):
        """Why the caller may not come in; None when it may."""
        if not self.settings["authentication"]:
            return None
        if not header.startswith("Bearer "):
            return "no bearer token"
        token = header[7:].strip()
        if self.settings["token_encoding"] == "base64":
            try:
                token = base64.b64decode(token, validate=True).decode()
            except ValueError:
                return "not base64"
        end = self.good.get(token.split(":")[0])
        if end is None:
            return "unknown token"
        return None if time.time() <= end else "expired token"

    def issue(self, body):
        """The answer of the token service, or None."""
        if body.get("client_id") != self.client_id or body.get("client_secret") != self.client_secret:
            return None
        token, now, life = secrets.token_hex(24), time.time(), self.settings["token_life"]
        with self.lock:
            self.good[token] = now + life
            self.issued += 1
        return {"token_type": "Bearer", "expires_in": "%d" % life, "ext_expires_in": "%d" % life,
                "expires_on": "%d" % (now + life), "not_before": "%d" % (now - 300),
                "resource": str(body.get("resource", "")), "access_token": token}

    def revoke(self, fixed=False):
        with self.lock:
            self.good = {} if fixed else {t: e for t, e in self.good.items() if t == self.fixed}

    def restore(self):
        self.good[self.fixed] = float("inf")


class Interface:
    def __init__(self, house, tokens, settings):
        self.house = house
        self.tokens = tokens
        self.settings = settings
        self.imports = Imports(house, settings)
        self.lock = threading.RLock()

    def answer(self, request, entry):
        """The answer to one request; the caller adds faults and logs."""
        try:
            return self.route(request, entry)
        except Fail as problem:
            entry["reason"] = str(problem)
            return self.negotiated(request, problem.status, problem.body, problem.headers)
        except Apostrophe as problem:
            entry["reason"] = "apostrophe in %s" % problem
            return self.model(request, 400, "ERROR", "Incorrect syntax near '%s'.~Unclosed quotation mark after the "
                              "character string ''." % str(problem).split("'")[1])

    # -- routing ---------------------------------------------------------------------

    def route(self, request, entry):
        path = request.path.rstrip("/").lower()
        if path in TOKEN_PATHS:
            entry["service"] = "token"
            return self.token(request)
        match = re.fullmatch(r"/api/([^/]+)(?:/([^/]*))?", path)
        name = urllib.parse.unquote(match.group(1)) if match else ""
        entry["service"] = name if name in VERBS else "other"
        if name not in VERBS:
            raise self.not_found(request, "No type was found that matches the controller named '%s'." % name)
        query = self.query(request)
        if request.method not in VERBS[name]:
            raise Fail(405, "The requested resource does not support http method '%s'." % request.method,
                       {"Allow": ",".join(sorted(VERBS[name]))})
        self.need_names(request, name, query)
        self.authenticate(request, name, entry)
        if name == "values":
            return self.negotiated(request, 200, ["value1", "value2"])
        if name == "inventoryaudit":
            return self.audit(request, query)
        if name == "custordershipimport":
            return self.confirm_ship(request, query, entry)
        if name in EXPORTS or name == "wcspicks" and request.method == "GET":
            return self.feed(request, name, query, entry)
        return self.store(request, name, entry)

    def not_found(self, request, detail):
        scheme = "http" if request.listener.endswith("http") else "https"
        more = {"MessageDetail": detail} if self.settings["error_detail"] else {}
        return Fail(404, "No HTTP resource was found that matches the request URI '%s://%s%s'." % (
            scheme, request.host, request.target), **more)

    def query(self, request):
        pairs = urllib.parse.parse_qsl(request.query, keep_blank_values=True)
        found = {}
        for name, value in pairs:
            found.setdefault(name.lower(), value)
        return found

    def need_names(self, request, name, query):
        """The actions that have no overload to fall back to."""
        needed = {("inventoryaudit", "GET"): ("avmicustid", "asiteid", "aitemid"), ("wcspicks", "GET"): ("aordertype",),
                  ("custordershipimport", "PUT"): ("aordernumber",)}.get((name, request.method), ())
        if any(n not in query for n in needed):
            raise self.not_found(request, "No action was found on the controller '%s' that matches the request." % name)

    def authenticate(self, request, name, entry):
        if name in OPEN:
            return
        why = self.tokens.check(request.headers.get("authorization", ""))
        if why:
            entry["reason"] = "login: " + why
            raise Unauthorized()

    # -- bodies ------------------------------------------------------------------------

    def body(self, request):
        """The JSON of a request; None where there is none."""
        if not request.body.strip():
            return None
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in ("application/json", "text/json"):
            raise Fail(415, "The request entity's media type '%s' is not supported for this resource." % kind)
        try:
            return json.loads(request.body)
        except ValueError:
            return None         # the formatter swallows it and the parameter is null

    def negotiated(self, request, status, body, headers=None):
        """What CreateResponse makes: JSON, or XML where it is asked for."""
        headers = dict(headers or {})
        accept = request.headers.get("accept", "").split(",")[0].split(";")[0].strip().lower()
        if accept in ("application/xml", "text/xml") and isinstance(body, dict):
            inner = "".join("<%s>%s</%s>" % (k, escape(str(v)), k) for k, v in body.items())
            headers["Content-Type"] = accept + "; charset=utf-8"
            return Answer(status, headers, "<ModelResponse>%s</ModelResponse>" % inner)
        headers["Content-Type"] = JSON
        return Answer(status, headers, json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    def model(self, request, status, word, message, code=None):
        code = code or status
        return self.negotiated(request, status, {
            "ReturnCode": code, "ReturnCodeDescription": REASONS.get(code, "InternalServerError"), "Status": word,
            "Message": message.replace("~", "\r\n")})

    def done(self, request):
        return self.model(request, 200, "Success", "SUCCESSFULLY PROCESSED")

    # -- reading -------------------------------------------------------------------------

    def audit(self, request, query):
        with self.lock:
            rows, skipped = self.house.audit(query["avmicustid"], query["asiteid"], query["aitemid"])
        if not rows and not skipped:
            return self.nothing(request)
        return self.rows(encode_all("inventory_audit", rows), [encode("inventory_audit", r).encode() for r in rows])

    def rows(self, text, parts):
        answer = Answer(200, {"Content-Type": "text/plain; charset=utf-8"}, text)
        answer.parts = parts
        return answer

    def nothing(self, request, picks=False):
        empty = self.settings["empty"]
        if picks or str(empty) == "204":
            return Answer(204, {}, b"")
        if str(empty) == "404":
            return self.negotiated(request, 404, {"ReturnCode": 404, "ReturnCodeDescription": "NotFound",
                                                  "Status": "Success", "Message": "No Records Found"})
        return self.model(request, 200, "Success", "No Records Found")

    def feed(self, request, name, query, entry):
        feed = self.house.feeds[name]
        if request.method == "PUT":
            return self.acknowledge(request, feed, entry)
        if all(n in query for n in feed.needs):
            filters = self.query_filters(query, feed)
        else:
            filters = self.body_filters(request, name)
        if name == "parcelexport" and not self.settings["trailer_input"]:
            raise Fail(400, "Incorrect syntax near the keyword 'AND'.")
        with self.lock:
            rows, numbers = feed.take(filters, self.settings)
        entry["rows"] = len(rows) + len(numbers)
        if not entry["rows"]:
            return self.nothing(request, name == "wcspicks")
        if not numbers:
            return self.rows(b"[" + b",".join(rows) + b"]", rows)
        answer = Answer(200, {"Content-Type": "text/plain; charset=utf-8"}, b"")
        answer.stream = self.pieces(feed, rows, numbers)
        answer.pieces = (len(numbers) + 249) // 250 + (1 if rows else 0)
        return answer

    def pieces(self, feed, rows, numbers):
        before = b"["
        if rows:
            yield before + b",".join(rows)
            before = b","
        for piece in feed.render_bulk(numbers):
            yield before + piece
            before = b","
        yield b"]"

    def query_filters(self, query, feed):
        values = {QUERY_NAMES[n]: query[n] for n in feed.needs}
        if "completed" in values:
            values["completed"] = self.boolean(values["completed"])
        return Filters(**values)

    def boolean(self, text):
        if text.lower() not in ("true", "false"):
            raise Fail(400, "The request is invalid.")
        return text.lower() == "true"

    def body_filters(self, request, name):
        body = self.body(request)
        if not isinstance(body, dict):
            raise Fail(400, NULL_REFERENCE)
        given = {k.lower(): v for k, v in body.items()}     # the names of the constructor's parameters
        if "exportfilterlist" in given and given["exportfilterlist"] is None:
            raise Fail(400, NULL_REFERENCE)
        if given.get("exportfilterlist") and name in ("tranfileexport", "polinesexport", "policensesexport"):
            raise Fail(400, "Incorrect syntax near the keyword 'AND'.")
        values = {target: given.get(n) for n, target in BODY_NAMES.get(name, {}).items()}
        if not values.get("customer"):
            values["customer"] = values.get("master")
        return Filters(**{k: v for k, v in values.items() if k not in ("master", "ignored")})

    def acknowledge(self, request, feed, entry):
        items = self.body(request)
        if not isinstance(items, list) or any(not isinstance(i, dict) for i in items):
            return self.model(request, 400, "ERROR", NULL_REFERENCE)
        entry["rows"] = len(items)
        try:
            with self.lock:
                entry["settled"] = feed.acknowledge(items)
        except TypeError:
            return self.model(request, 400, "ERROR", NULL_REFERENCE)
        return self.done(request)

    # -- writing -----------------------------------------------------------------------------

    def confirm_ship(self, request, query, entry):
        number = query["aordernumber"]
        entry["key"] = number
        with self.lock:
            problem = self.imports.confirm_ship(number)
        if problem:
            return self.model(request, 400, "ERROR", problem)
        return self.done(request)

    def store(self, request, name, entry):
        body = self.body(request)
        if not isinstance(body, dict):
            return self.import_error(request, name, NULL_REFERENCE, 500 if name == "qchold" else 400)
        try:
            with self.lock:
                partial = self.imports.store(name, body, entry)
        except Reason as problem:
            entry["reason"] = str(problem)
            return self.import_error(request, name, str(problem), 400)
        if partial:
            return self.model(request, 200, "PARTIAL", partial, 412)
        return self.done(request)

    def import_error(self, request, name, reason, status):
        if name in PICKS:
            return self.model(request, status, "ERROR", reason)
        scheme = "http" if request.listener.endswith("http") else "https"
        # A form feed: the source says "\failed" where it means " failed".
        return self.model(request, status, "ERROR", 'HTTP Post on resource "%s://%s/Import/%s\failed: %s' % (
            scheme, request.host, IMPORTS.get(name, (name,))[0], reason))

    # -- tokens -------------------------------------------------------------------------------

    def token(self, request):
        if request.method != "POST":
            raise Fail(405, "The requested resource does not support http method '%s'." % request.method,
                       {"Allow": "POST"})
        body = self.body(request)
        if not isinstance(body, dict):
            raise Fail(400, "The request is invalid.")
        found = self.tokens.issue(body)
        if found is None:
            return self.negotiated(request, self.settings["token_status"], {"Message": "invalid client"})
        return self.negotiated(request, 200, found)


class Unauthorized(Exception):
    """401: no body, and the host's name as the realm."""


def unauthorized(request, scheme="Bearer"):
    host = request.host.rsplit(":", 1)[0]
    return Answer(401, {"WWW-Authenticate": '%s realm="%s"' % (scheme, host)}, b"")
