#!/usr/bin/python3
"""A strict simulator of ASCTrac's two services: the host interface with its consuming feeds, and the interactive one.

Prints one line and writes DIR/sim.json when it is ready; ends with its parent or at SIGTERM.  See README.md.
"""

import argparse
import ctypes
import ipaddress
import json
import os
import signal
import ssl
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
NETSUITE = os.path.join(os.path.dirname(HERE), "netsuite")
sys.path[:0] = [HERE]
sys.path.append(NETSUITE)       # its listeners, certificates and items
sys.dont_write_bytecode = True

from cryptography import x509                               # noqa: E402
from cryptography.hazmat.primitives import serialization    # noqa: E402

from auth import key_pem, make_certificate, make_key, write     # noqa: E402
from desk import Desk                                       # noqa: E402
from dotnet import Clock                                    # noqa: E402
from interactive import Interactive                         # noqa: E402
from interface import Interface, Tokens                     # noqa: E402
from server import Listener                                 # noqa: E402
from service import Faults, Log, Service                    # noqa: E402
from switches import Settings                               # noqa: E402
from warehouse import Warehouse                             # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", required=True, help="state directory; made when missing")
    parser.add_argument("--port", type=int, default=0, help="of the interface service's TLS listener")
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--rest-port", type=int, default=0)
    parser.add_argument("--rest-http-port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--rows", default="", help="sizes: item=120,order=120,movement=300,purchase=60,pick=80; "
                        "with a feed's entity, rows made in bulk: tranfile_export=500000")
    parser.add_argument("--setting", action="append", default=[], help="name=JSON value; see switches.py")
    parser.add_argument("--fault", action="append", default=[], help="a fault as JSON, armed from the start")
    parser.add_argument("--detach", action="store_true", help="outlive the parent process")
    return parser.parse_args()


def json_or_text(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


class Authority:
    """A certificate authority of our own, and what its servers present."""

    def __init__(self, folder):
        self.folder = folder
        self.key = make_key("P256")
        self.certificate = make_certificate(self.key, "makini test authority", (-1, 3650), authority=True)
        self.file = os.path.join(folder, "ca.crt")
        write(self.file, self.certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, name):
        key = make_key("P256")
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = make_certificate(key, name, (-1, 300), self.certificate, self.key, hosts)
        path = os.path.join(self.folder, name + ".pem")
        with open(path, "wb") as file:
            os.chmod(path, 0o600)
            file.write(key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context


def listen(options):
    settings = Settings(**{k: json_or_text(v) for k, v in (s.split("=", 1) for s in options.setting)})
    rows = dict(p.split("=", 1) for p in options.rows.split(",") if p)
    house = Warehouse(settings, Clock(settings), rows)
    faults, log, tokens = Faults(), Log(), Tokens(settings)
    interface = Interface(house, tokens, settings)
    for fault in options.fault:
        faults.arm(json.loads(fault))
    first = Service("interface", interface, settings, faults, log)
    interactive = Interactive(house, tokens, settings, interface.lock)
    second = Service("rest", interactive, settings, faults, log)
    authority = Authority(options.dir)
    context = authority.context("server")
    listeners = [
        Listener("https", first.handle, context, options.port, faults),
        Listener("http", first.handle, None, options.http_port, faults),
        Listener("rest-https", second.handle, context, options.rest_port, faults),
        Listener("rest-http", second.handle, None, options.rest_http_port, faults),
        Listener("control", Desk(house, interface, interactive, settings, faults, log).handle, None, options.control_port),
    ]
    for listener in listeners:
        listener.start()
    https, http, rest_https, rest_http, control = (one.port for one in listeners)
    url = "https://localhost:%d" % https
    return {"url": url, "http_url": "http://127.0.0.1:%d" % http, "rest_url": "https://localhost:%d" % rest_https,
            "rest_http_url": "http://127.0.0.1:%d" % rest_http, "token_url": url + "/api/Authorize",
            "ca_file": authority.file, "token": tokens.fixed, "client_id": tokens.client_id,
            "client_secret": tokens.client_secret, "control_url": "http://127.0.0.1:%d" % control, "pid": os.getpid()}


def write_json(path, value):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


def main():
    options = arguments()
    if not options.detach:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    options.dir = os.path.abspath(options.dir)
    os.makedirs(options.dir, exist_ok=True)
    os.chmod(options.dir, 0o755)
    found = listen(options)
    write_json(os.path.join(options.dir, "sim.json"), found)
    print("ready %s control %s" % (found["url"], found["control_url"]), flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
