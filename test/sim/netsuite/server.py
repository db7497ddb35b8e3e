"""The wire: listeners, HTTP/1.1 with keep-alive, and the sending of answers, spoilt ones too.

What an answer says is service.py's.
"""

import email.utils
import re
import select
import socket
import ssl
import struct
import threading
import time

import faults as fault_kinds

REASONS = {200: "OK", 203: "Non-Authoritative Information", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 415: "Unsupported Media Type", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

MAX_HEADER = 64 * 1024
MAX_BODY = 16 * 1024 * 1024


class Gone(Exception):
    """The client went away, or the connection was ended on purpose."""


class Request:
    __slots__ = ("method", "target", "path", "query", "headers", "body", "listener", "connection", "host")


class Answer:
    """status, headers (dict of texts, or lists of them), body (bytes); faults strike it on its way."""

    def __init__(self, status, headers, body, faults=()):
        self.status = status
        self.headers = headers
        self.body = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        self.faults = list(faults)
        self.done = None        # called once, before the last byte is sent
        self.close = False
        self.packed = False     # body is compressed already
        self.stream = None      # instead of a body: an iterator of its pieces, so many in number
        self.pieces = 0


def header_lines(headers):
    """A list is a header that comes more than once."""
    return "".join("%s: %s\r\n" % (name, one) for name, value in headers.items()
                   for one in (value if isinstance(value, list) else [value]))


def announce(settings, path, answer):
    """Add what the setting "announce" says of this path."""
    for pattern, headers in settings["announce"].items():
        if re.search(pattern, path):
            answer.headers.update(headers)


class Listener:
    """A port; each connection gets a thread."""

    def __init__(self, name, handler, context=None, port=0, faults=None):
        self.name = name
        self.handler = handler
        self.context = context
        self.faults = faults
        self.socket = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.socket.getsockname()[1]
        self.connections = 0

    def start(self):
        threading.Thread(target=self.accept, name=self.name, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(raw, self.connections), daemon=True).start()

    def serve(self, raw, number):
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self.secure(raw)
            Connection(sock, self, "%s-%d" % (self.name, number)).run()
        except (Gone, OSError, ssl.SSLError, ValueError):
            pass
        finally:
            try:
                raw.close()
            except OSError:
                pass

    def secure(self, raw):
        for fault in self.faults.strike({"hang_connect", "reset_connect"}, "connect:" + self.name) if self.faults \
                else []:
            if fault.kind == "reset_connect":
                reset(raw)
            wait_for_end(raw, fault.get("seconds", 600))
        if not self.context:
            return raw
        raw.settimeout(60)
        sock = self.context.wrap_socket(raw, server_side=True)
        sock.settimeout(None)
        for fault in self.faults.strike({"hang_tls"}, "connect:" + self.name) if self.faults else []:
            wait_for_end(sock, fault.get("seconds", 600))
        return sock


def reset(sock):
    """End a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # close() of a TLS socket would say goodbye first
    socket.socket(fileno=sock.detach()).close() if isinstance(sock, ssl.SSLSocket) else sock.close()
    raise Gone()


def wait_for_end(sock, seconds):
    """Say nothing until the client closes or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ended(sock, min(1.0, deadline - time.monotonic())):
            break
    raise Gone()


def hold_while(sock, armed):
    """Keep a client waiting until the test lets go; it may close before."""
    while armed():
        if ended(sock, 0.02):
            raise Gone()


def ended(sock, seconds):
    """Has the client closed?  Waits up to seconds; pipelined bytes count as an end too."""
    ready, _, _ = select.select([sock], [], [], max(seconds, 0))
    if not ready:
        return False
    try:
        sock.setblocking(False)
        return sock.recv(65536) == b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True
    finally:
        try:
            sock.setblocking(True)
        except OSError:
            pass


class Connection:
    def __init__(self, sock, listener, name):
        self.sock = sock
        self.listener = listener
        self.name = name
        self.buffer = bytearray()

    def run(self):
        while True:
            request = self.read()
            if request is None:
                break
            answer = self.listener.handler(request, self)
            self.send(request, answer)
            if answer.close or request.headers.get("connection", "").lower() == "close":
                break
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.unwrap()
        finally:
            self.sock.close()

    # -- reading -------------------------------------------------------------

    def more(self):
        data = self.sock.recv(262144)
        if not data:
            raise Gone()
        self.buffer += data

    def read(self):
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(self.buffer) > MAX_HEADER:
                raise Gone()
            data = self.sock.recv(262144)
            if not data:
                return None
            self.buffer += data
        lines = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        del self.buffer[:end + 4]
        request = Request()
        request.listener = self.listener.name
        request.connection = self.name
        request.method, request.target, version = lines[0].split(" ", 2)
        request.path, _, request.query = request.target.partition("?")
        request.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            request.headers[name.strip().lower()] = value.strip()
        request.host = request.headers.get("host", "")
        request.body = self.read_body(request)
        return request

    def read_body(self, request):
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            return self.read_chunks()
        length = int(request.headers.get("content-length", "0"))
        if length > MAX_BODY:
            raise Gone()
        if length and "100-continue" in request.headers.get("expect", "").lower():
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.exactly(length)

    def exactly(self, length):
        while len(self.buffer) < length:
            self.more()
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        return body

    def read_chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                self.more()
            at = self.buffer.index(b"\r\n")
            size = int(bytes(self.buffer[:at]).split(b";")[0], 16)
            del self.buffer[:at + 2]
            data = self.exactly(size + 2)
            if size == 0:
                return body
            body += data[:-2]

    # -- sending -------------------------------------------------------------

    def send(self, request, answer):
        by_kind = {f.kind: f for f in answer.faults}
        if answer.stream is not None:
            return self.send_stream(answer, by_kind)
        body = answer.body
        headers = dict(answer.headers)
        body, headers, chunked, cut = self.prepare(body, headers, by_kind, answer)
        head = "HTTP/1.1 %d %s\r\n" % (answer.status, REASONS.get(answer.status, "Unknown"))
        if answer.close or cut is not None:
            answer.close = True
            headers["Connection"] = "close"
        else:
            headers.setdefault("Connection", "keep-alive")
        head += header_lines(headers) + "\r\n"
        wire = chunk(body, "bad_chunk" in by_kind) if chunked else body
        data = head.encode("latin-1") + wire
        if cut is not None:
            data = data[:len(head) + int(len(wire) * cut)]
        if "drip" in by_kind:
            self.drip(data, by_kind["drip"], answer)
        else:
            self.finish(answer)
            self.sock.sendall(data)
        if cut is not None and by_kind["cut"].get("reset"):
            reset(self.sock)

    def prepare(self, body, headers, by_kind, answer):
        chunked = "chunked" in by_kind or headers.pop("Transfer-Encoding", None) == "chunked" or "bad_chunk" in by_kind
        cut = None
        if "content_type" in by_kind:
            headers["Content-Type"] = by_kind["content_type"].get("value", "text/html; charset=UTF-8")
        if "torn" in by_kind:
            body = body[:int(len(body) * by_kind["torn"].get("at", 0.6))]
        if "trailing" in by_kind:
            body += by_kind["trailing"].get("text", "}garbage").encode()
        if "gzip_bomb" in by_kind:
            body = fault_kinds.bomb(by_kind["gzip_bomb"].get("megabytes", 1024))
            headers["Content-Encoding"] = "gzip"
        elif headers.get("Content-Encoding") == "gzip" or "gzip_cut" in by_kind or "bad_gzip" in by_kind:
            body = body if answer.packed else fault_kinds.squeeze(body)
            headers["Content-Encoding"] = "gzip"
            if "gzip_cut" in by_kind:
                body = body[:len(body) // 2]
            if "bad_gzip" in by_kind:
                body = body[:20] + b"\0\xff\0\xff" + body[24:]
        if "cut" in by_kind:
            cut = by_kind["cut"].get("at", 0.5)
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = len(body)
        return body, headers, chunked, cut

    def send_stream(self, answer, by_kind):
        """A long body as it is made.  "cut" ends the connection in the middle, "torn" only the text."""
        headers = dict(answer.headers, **{"Transfer-Encoding": "chunked"})
        head = "HTTP/1.1 %d %s\r\n" % (answer.status, REASONS.get(answer.status, "Unknown"))
        head += header_lines(headers) + "\r\n"
        spoilt = by_kind.get("cut") or by_kind.get("torn")
        last = int(answer.pieces * spoilt.get("at", 0.5)) if spoilt else -1
        self.finish(answer)
        self.sock.sendall(head.encode("latin-1"))
        for number, piece in enumerate(answer.stream):
            if number == last:
                piece = piece[:len(piece) // 2]
            self.sock.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
            if "drip" in by_kind:
                time.sleep(by_kind["drip"].get("interval_ms", 100) / 1000.0)
            if number == last:
                break
        if "cut" in by_kind:
            answer.close = True
            if by_kind["cut"].get("reset"):
                reset(self.sock)
            raise Gone()
        self.sock.sendall(b"0\r\n\r\n")

    def finish(self, answer):
        if answer.done:
            done, answer.done = answer.done, None
            done()

    def drip(self, data, fault, answer):
        """A few bytes at a time; ends at once when the client goes."""
        step = fault.get("bytes", 10)
        pause = fault.get("interval_ms", 100) / 1000.0
        try:
            for at in range(0, len(data), step):
                self.sock.sendall(data[at:at + step])
                if at + step < len(data) and ended(self.sock, pause):
                    raise Gone()
        finally:
            self.finish(answer)


def chunk(body, broken):
    parts = []
    for at in range(0, len(body), 5000):
        piece = body[at:at + 5000]
        parts.append(b"%x\r\n" % len(piece) + piece + b"\r\n")
    if broken:
        return b"".join(parts[:1]) + b"zz\r\nnot a chunk"
    return b"".join(parts) + b"0\r\n\r\n"


def http_date(seconds):
    return email.utils.formatdate(seconds, usegmt=True)
