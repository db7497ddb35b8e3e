"""What the simulated account answers: routing, the account-wide limit, logging, and where faults strike.

A new service (the record API, metadata) is one more entry in Service.route.
"""

import datetime
import gzip
import json
import re
import threading
import time
import urllib.parse
import uuid

import faults as fault_kinds
from auth import TOKEN_PATH, TokenError
from faults import error_body
from gate import Refused
from journal import Log
from server import Answer, announce, hold_while, http_date, reset, wait_for_end
from suiteql import MAX_LIMIT, items_json, page_json, parse_body

SUITEQL_PATH = "/services/rest/query/v1/suiteql"
SYSTEM_PATH = "/services/rest/system/v1/"

ERROR_TYPE = "application/vnd.oracle.resource+json; type=error; charset=UTF-8"
PAGE_TYPE = "application/vnd.oracle.resource+json; type=collection; charset=UTF-8"

LOGGED_HEADERS = ("prefer", "accept", "accept-encoding", "accept-language", "content-type", "user-agent", "cookie",
                  "host")


class Problem(Exception):
    """An error answer in NetSuite's form."""

    def __init__(self, status, code, detail, reason=None, **extra):
        super().__init__(reason or detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.reason = reason or detail
        self.extra = {"o:" + k: v for k, v in extra.items()}


class Service:
    def __init__(self, engine, credentials, settings, faults, bench):
        self.engine = engine
        self.credentials = credentials
        self.settings = settings
        self.faults = faults
        self.bench = bench
        self.log = Log()
        self.lock = threading.Lock()
        self.in_flight = 0

    # -- one request -----------------------------------------------------------

    def handle(self, request, connection):
        started = time.monotonic()
        entry = {"time": time.time(), "listener": request.listener, "connection": request.connection,
                 "method": request.method, "path": request.path, "query": request.query, "service": "other",
                 "headers": {h: request.headers[h] for h in LOGGED_HEADERS if h in request.headers}}
        limited = request.path.startswith("/services/rest/") and "/oauth2/" not in request.path and \
            not request.path.endswith("/serverTime")
        seen = self.enter() if limited else 0
        entry["concurrency"] = seen
        held = [limited]

        def leave():
            if held[0]:
                held[0] = False
                self.leave()

        try:
            answer = self.answer(request, connection, entry, seen)
        except BaseException as problem:
            leave()
            self.log.broke_off(entry, problem)
            raise
        answer.done = leave
        announce(self.settings, request.path, answer)
        self.log.answered(entry, answer, started)
        return answer

    def enter(self):
        with self.lock:
            self.in_flight += 1
            if self.in_flight > self.log.peak:
                self.log.peak = self.in_flight
            return self.in_flight

    def leave(self):
        with self.lock:
            self.in_flight -= 1

    def answer(self, request, connection, entry, seen):
        limit = self.settings["concurrency_limit"]
        if limit and seen > limit:
            entry["service"] = "limited"
            headers = {"Content-Type": ERROR_TYPE}
            if self.settings["retry_after"] is not None:
                headers["Retry-After"] = str(self.settings["retry_after"])
            return Answer(429, headers, fault_kinds.concurrency_body())
        text = self.peek_query(request, entry)
        early = self.strike_before(request, connection, text, entry)
        if early is not None:
            return early
        try:
            answer = self.route(request, entry)
        except TokenError as problem:
            entry["reason"] = problem.reason
            answer = self.token_problem(problem)
        except Problem as problem:
            entry["reason"] = problem.reason
            answer = self.problem(problem)
        for fault in self.faults.strike(fault_kinds.AFTER, request.path, text):
            self.change(fault.get("run"))
        answer.faults += self.faults.strike(fault_kinds.BODY, request.path, text)
        if answer.faults and answer.packed:
            answer.body, answer.packed = gzip.decompress(answer.body), False
        return answer

    def peek_query(self, request, entry):
        """The query text, for faults and the log; None when there is none."""
        if request.path != SUITEQL_PATH:
            return None
        try:
            text, params = parse_body(request.body)
        except ValueError:
            return None
        entry["q"], entry["params"] = text, params
        return text

    def strike_before(self, request, connection, text, entry):
        for fault in self.faults.strike(fault_kinds.BEFORE, request.path, text):
            entry.setdefault("faults", []).append(fault.number)
            if fault.kind == "delay":
                time.sleep(fault.get("ms", 100) / 1000.0)
            elif fault.kind == "hang":
                wait_for_end(connection.sock, fault.get("seconds", 600))
            elif fault.kind == "hold":
                hold_while(connection.sock, lambda number=fault.number: self.faults.is_armed(number))
            elif fault.kind == "reset":
                reset(connection.sock)
            elif fault.kind == "expire_token":
                self.credentials.revoke_tokens()
            elif fault.kind == "change":
                self.change(fault.get("run"))
        for fault in self.faults.strike(fault_kinds.INSTEAD, request.path, text):
            entry["service"] = self.service_name(request.path)
            status, headers, body = fault_kinds.instead(fault, self.settings.realm)
            headers = dict(self.common_headers(), **headers)
            headers.setdefault("Content-Type", ERROR_TYPE)
            answer = Answer(status, headers, body, [fault])
            answer.close = bool(fault.get("close"))
            answer.faults += self.faults.strike(fault_kinds.BODY, request.path, text)
            return answer
        return None

    def change(self, statements):
        """Let somebody change the data; account_now() is the account's clock, to the second."""
        for statement in [statements] if isinstance(statements, str) else statements:
            self.engine.cluster.run(statement.replace("account_now()", "to_timestamp(%d)" % self.credentials.now()))
        self.bench.forget()

    def serve_recorded(self, path):
        """Answer with a recorded exchange whenever its query is asked, alone or as a derived table."""
        with open(path, encoding="utf-8") as file:
            text = json.load(file)["request"]["body"]["q"]
        return self.faults.arm({"kind": "recorded", "file": path, "count": 0, "path": "query/v1/suiteql$",
                                "sql": r"\s+".join(re.escape(word) for word in text.split())})

    def service_name(self, path):
        return {SUITEQL_PATH: "suiteql", TOKEN_PATH: "token"}.get(path, path.rsplit("/", 1)[-1])

    # -- routes ------------------------------------------------------------------

    def route(self, request, entry):
        entry["service"] = self.service_name(request.path)
        if self.settings["require_tls"] and request.listener == "http":
            raise Problem(403, "INSUFFICIENT_PERMISSION", "SSL is required.")
        host = request.host.rsplit(":", 1)[0].lower()
        if host not in ("localhost", "127.0.0.1", self.settings.host_account + ".suitetalk.api.netsuite.com"):
            raise Problem(404, "INVALID_REQUEST", "The requested resource does not exist.", reason="host " + host)
        if not request.path.startswith("/services/rest/"):
            raise Problem(404, "INVALID_REQUEST", "The requested resource does not exist.", errorUrl=request.path)
        if request.path == TOKEN_PATH:
            return self.token(request)
        if request.path == SYSTEM_PATH + "serverTime":
            return self.server_time(request)
        self.authenticate(request, entry)
        if request.path == SUITEQL_PATH:
            return self.suiteql(request, entry)
        if request.path == SYSTEM_PATH + "governanceLimits":
            return self.governance(request)
        raise Problem(404, "INVALID_REQUEST", "The requested resource does not exist.", errorUrl=request.path)

    def url(self, request):
        scheme = "http" if request.listener == "http" else "https"
        return "%s://%s%s" % (scheme, request.host, request.path)

    def method(self, request, wanted):
        if request.method != wanted:
            raise Problem(405, "METHOD_NOT_ALLOWED", "The %s method is not allowed." % request.method)

    def token(self, request):
        self.method(request, "POST")
        if self.settings["token_latency_ms"]:
            time.sleep(self.settings["token_latency_ms"] / 1000.0)
        body = self.credentials.issue(request.headers, request.body, self.url(request))
        return Answer(200, dict(self.common_headers(), **{
            "Content-Type": "application/json;charset=utf-8", "Cache-Control": "no-store", "Pragma": "no-cache"}),
            json.dumps(body))

    def server_time(self, request):
        self.method(request, "GET")
        now = datetime.datetime.fromtimestamp(self.credentials.now(), datetime.timezone.utc)
        return self.json_answer(request, '{"serverTime":"%s.%03dZ"}' % (
            now.strftime("%Y-%m-%dT%H:%M:%S"), now.microsecond // 1000))

    def governance(self, request):
        self.method(request, "GET")
        if not self.settings["administrator"]:
            raise Problem(403, "INSUFFICIENT_PERMISSION", fault_kinds.SHAPES["403"][2])
        limit = self.settings["concurrency_limit"]
        return self.json_answer(request, '{"accountConcurrencyLimit":%d,"accountUnallocatedConcurrencyLimit":%d,'
                                '"integrationLimitType":"accountLimit"}' % (limit, limit))

    def authenticate(self, request, entry):
        address = self.url(request) + ("?" + request.query if request.query else "")
        entry["auth"], why = self.credentials.check(request.method, address, request.headers)
        if why:
            raise Problem(401, "INVALID_LOGIN", fault_kinds.SHAPES["401"][2], reason="login: " + why)
        language = self.settings["language"]
        if language and not request.headers.get("accept-language", "").startswith(language):
            raise Problem(400, "INVALID_HEADER", "Invalid language. REST web services currently only support the "
                          "default company language, and do not support the language specified in your user "
                          "preferences. Provide the Accept-Language header with your default company language value "
                          "'%s'." % language, errorHeader="Accept-Language")

    # -- SuiteQL -----------------------------------------------------------------

    def suiteql(self, request, entry):
        self.method(request, "POST")
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type.")
        if request.headers.get("prefer", "").replace(" ", "").lower() != "transient":
            raise Problem(400, "INVALID_HEADER", "The required request header 'Prefer' is missing or not valid. Set it "
                          "to 'transient'.", errorHeader="Prefer")
        try:
            text, params = parse_body(request.body)
        except ValueError as problem:
            raise Problem(400, "INVALID_CONTENT", "Invalid content in the request body.", reason=str(problem))
        limit, offset = self.paging(request.query)
        if self.settings["latency_ms"]:
            time.sleep(self.settings["latency_ms"] / 1000.0)
        row_faults = self.faults.strike(fault_kinds.ROWS, request.path, text)
        answer = None
        if self.bench.enabled and not row_faults:
            answer = self.prepared(request, text, params, limit, offset)
        if answer is None:
            answer = self.json_answer(request, self.page(request, text, params, limit, offset, row_faults), PAGE_TYPE)
        answer.headers["Preference-Applied"] = "transient"
        answer.faults = row_faults
        return answer

    def prepared(self, request, text, params, limit, offset):
        """An answer out of memory; None when there is none for this query."""
        answer = self.json_answer(request, b"", PAGE_TYPE)
        packed = "Content-Encoding" in answer.headers
        small = (text, tuple(params), limit, offset)
        try:
            answer.body = self.bench.small_answer(small)
            if answer.body is None:
                answer.body = self.bench.body(text, params, limit, offset, self.url(request), packed)
                answer.packed = packed
            if answer.body is None:
                answer.packed = False
                answer.body = self.page(request, text, params, limit, offset, [])
                self.bench.keep_small(small, answer.body)
        except Refused as refused:
            raise self.refused(refused)
        return answer

    def page(self, request, text, params, limit, offset, row_faults):
        try:
            page = self.engine.page(text, params, limit, offset)
        except Refused as refused:
            raise self.refused(refused)
        for fault in row_faults:
            fault_kinds.spoil_rows(fault, page)
        body = page_json(page, self.url(request), items_json(page, self.settings["json_ascii"]))
        body = body.encode("utf-8", "surrogatepass")
        for fault in row_faults:
            body = fault_kinds.spoil_text(fault, body)
        return body

    def refused(self, refused):
        if refused.status >= 500:
            return Problem(500, "UNEXPECTED_ERROR", fault_kinds.SHAPES["500"][2], reason=refused.reason)
        detail = refused.detail
        if detail.startswith("Parse of date"):
            prefix = "Invalid search query. Search error occurred: "
        elif detail.startswith("Invalid search type"):
            prefix = "Invalid search query. Detailed unprocessed description follows. "
        else:
            prefix = "Invalid search query. Detailed unprocessed description follows. Search error occurred: "
        return Problem(400, "INVALID_PARAMETER", prefix + detail, reason=refused.reason, errorQueryParam="q")

    def paging(self, query):
        values = {"limit": MAX_LIMIT, "offset": 0}
        try:
            pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise Problem(400, "INVALID_REQUEST", "Invalid url.")
        for name, value in pairs:
            if name not in values or not re.fullmatch(r"\d{1,9}", value):
                raise self.bad_paging(name)
            values[name] = int(value)
        limit, offset = values["limit"], values["offset"]
        if not 1 <= limit <= MAX_LIMIT:
            raise self.bad_paging("limit")
        if offset % limit or offset >= self.settings["row_cap"]:
            raise self.bad_paging("offset")
        return limit, offset

    def bad_paging(self, name):
        return Problem(400, "INVALID_PARAMETER", "Invalid value of the query parameter '%s'." % name,
                       errorQueryParam=name)

    # -- answers -----------------------------------------------------------------

    def common_headers(self):
        return {"Date": http_date(self.credentials.now()), "Cache-Control": "No-Cache", "Expires": "0",
                "Pragma": "No-Cache", "Strict-Transport-Security": "max-age=31536000",
                "Vary": "User-Agent, Accept-Encoding", "X-Content-Type-Options": "nosniff",
                "X-N-OperationId": str(uuid.uuid4()), "X-NetSuite-JobId": str(uuid.uuid4())}

    def json_answer(self, request, body, content_type="application/vnd.oracle.resource+json; type=singular; "
                    "charset=UTF-8"):
        headers = self.common_headers()
        headers["Content-Type"] = content_type
        if self.settings["gzip"] and "gzip" in request.headers.get("accept-encoding", "").lower():
            headers["Content-Encoding"] = "gzip"
        if self.settings["chunked"]:
            headers["Transfer-Encoding"] = "chunked"
        return Answer(200, headers, body)

    def problem(self, problem):
        headers = dict(self.common_headers(), **{"Content-Type": ERROR_TYPE})
        if problem.status == 401:
            headers["WWW-Authenticate"] = ('Bearer realm="%s", error="invalid_token", '
                                           'error_description="Invalid login attempt."' % self.settings.realm)
        answer = Answer(problem.status, headers, error_body(problem.status, problem.code, problem.detail,
                                                            problem.extra))
        answer.close = self.settings["close_on_error"]
        return answer

    def token_problem(self, problem):
        headers = dict(self.common_headers(), **{"Content-Type": "application/json;charset=utf-8"})
        if problem.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="%s"' % self.settings.realm
        return Answer(problem.status, headers, '{"error":"%s"}' % problem.code)
