"""Every request on its way: faults before and after the action, latency, the log."""

import time

import faults as netsuite_faults
from faults import HTML
from interface import Unauthorized, unauthorized
from server import Answer, announce, hold_while, reset, wait_for_end

SPOIL = {"torn", "cut", "drip", "chunked", "content_type", "gzip_cut", "bad_chunk", "trailing", "bad_gzip", "gzip_bomb"}
INSTEAD = {"status", "401", "raw", "500", "502", "503", "404", "429", "html"}
BEFORE = {"delay", "hang", "hold", "reset"}
CONNECT = {"hang_connect", "reset_connect", "hang_tls"}
KINDS = SPOIL | INSTEAD | BEFORE | CONNECT

ASPNET = {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1", "Server": "Microsoft-IIS/10.0",
          "X-AspNet-Version": "4.0.30319", "X-Powered-By": "ASP.NET"}


class Fault(netsuite_faults.Fault):
    """"late": true strikes after the action has had its effect, before a byte of the answer is sent;
    "settled": true likewise, where its effect is that rows were acknowledged.
    """

    kinds = KINDS

    def matches(self, path, phase):
        late = bool(self.get("late") or self.get("settled"))
        if phase in ("early", "late", "settled") and late == (phase == "early"):
            return False
        if self.get("settled") and phase != "settled":
            return False
        return bool(self.path.search(path))


class Faults(netsuite_faults.Faults):
    fault = Fault


class Service:
    """One of the two services behind its listeners."""

    def __init__(self, name, inner, settings, faults, log):
        self.name = name            # interface or rest
        self.inner = inner
        self.settings = settings
        self.faults = faults
        self.log = log

    def handle(self, request, connection):
        started = time.monotonic()
        entry = {"time": time.time(), "base": self.name, "listener": request.listener, "connection": request.connection,
                 "method": request.method, "path": request.path, "query": request.query, "service": "other",
                 "size": len(request.body), "headers": {h: request.headers[h] for h in (
                     "accept", "content-type", "user-agent", "host", "accept-encoding") if h in request.headers}}
        if len(request.body) <= 4096:
            entry["body"] = request.body.decode("utf-8", "replace")
        entry["authorization"] = request.headers.get("authorization", "").split(" ")[0]
        try:
            answer = self.answer(request, connection, entry)
        except BaseException as problem:
            self.log.broke_off(entry, problem)
            raise
        for name, value in ASPNET.items():
            answer.headers.setdefault(name, value)
        announce(self.settings, request.path, answer)
        self.log.answered(entry, answer, started)
        return answer

    def answer(self, request, connection, entry):
        early = self.strike(request, connection, entry, "early")
        if early is not None:
            return early
        if len(request.body) > self.settings["max_body"]:
            entry["reason"] = "body too large"
            return Answer(500, {"Content-Type": "text/html"}, "<html><head><title>Maximum request length exceeded."
                          "</title></head><body>Runtime Error</body></html>")
        if self.name == "interface" and self.settings["latency_ms"]:
            time.sleep(self.settings["latency_ms"] / 1000.0)
        try:
            answer = self.inner.answer(request, entry)
        except Unauthorized as problem:
            answer = unauthorized(request, problem.args[0] if problem.args else "Bearer")
        late = self.strike(request, connection, entry, "settled" if entry.get("settled") else "late")
        if late is not None:
            return late
        for fault in self.faults.strike(SPOIL, request.path, "spoil"):
            self.at_row(fault, answer)
            answer.faults.append(fault)
        return answer

    def at_row(self, fault, answer):
        """"row": n spoils in the middle of the n-th row."""
        parts, row = getattr(answer, "parts", None), fault.get("row")
        if parts and row is not None:
            row = min(row, len(parts) - 1)
            before = 1 + sum(len(p) + 1 for p in parts[:row])
            fault.members["at"] = (before + len(parts[row]) // 2 + 0.5) / len(answer.body)

    def strike(self, request, connection, entry, phase):
        for fault in self.faults.strike(BEFORE, request.path, phase):
            entry.setdefault("faults", []).append(fault.number)
            if fault.kind == "delay":
                time.sleep(fault.get("ms", 100) / 1000.0)
            elif fault.kind == "hang":
                wait_for_end(connection.sock, fault.get("seconds", 600))
            elif fault.kind == "hold":
                hold_while(connection.sock, lambda number=fault.number: self.faults.is_armed(number))
            else:
                reset(connection.sock)
        for fault in self.faults.strike(INSTEAD, request.path, phase):
            entry["service"] = entry["service"] if phase != "early" else "fault"
            answer = self.instead(fault, request)
            answer.faults.append(fault)
            answer.close = bool(fault.get("close"))
            return answer
        return None

    def instead(self, fault, request):
        kind = fault.kind
        if kind == "401":
            return unauthorized(request)
        if kind == "raw":
            return Answer(fault.get("status", 200), dict(fault.get("headers", {})), fault.get("body", ""))
        if kind in ("502", "html"):
            return Answer(fault.get("status", 502), {"Content-Type": "text/html"}, HTML)
        status = int(fault.get("status", kind if kind.isdigit() else 500))
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if fault.get("retry_after") is not None:
            headers["Retry-After"] = str(fault.get("retry_after"))
        body = fault.get("body", '{"Message":"%s"}' % fault.get("message", "An error has occurred."))
        return Answer(status, headers, body)
