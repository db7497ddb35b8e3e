"""What a simulator is as a process: its options, its certificates, the file that tells others where it is.

Both simulators use this.
"""

import ctypes
import ipaddress
import json
import os
import signal
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from auth import key_pem, make_certificate, make_key, write


def pairs(text):
    return dict(p.split("=", 1) for p in text.split(",") if p)


def json_or_text(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def settings_of(options):
    """The --setting options, by name."""
    return {k: json_or_text(v) for k, v in (s.split("=", 1) for s in options.setting)}


class Authority:
    """A certificate authority of our own, and what its servers present."""

    def __init__(self, folder):
        self.folder = folder
        self.key = make_key("P256")
        self.certificate = make_certificate(self.key, "makini test authority", (-1, 3650), authority=True)
        self.file = os.path.join(folder, "ca.crt")
        write(self.file, self.certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, name, days=(-1, 300), hosts=None):
        key = make_key("P256")
        hosts = hosts or [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = make_certificate(key, name, days, self.certificate, self.key, hosts)
        path = os.path.join(self.folder, name + ".pem")
        with open(path, "wb") as file:
            os.chmod(path, 0o600)
            file.write(key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context


def begin(options):
    """Makes the state directory; gives an event that is set when it is time to end: with the parent, or at a signal."""
    if not options.detach:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    options.dir = os.path.abspath(options.dir)
    os.makedirs(options.dir, exist_ok=True)
    os.chmod(options.dir, 0o755)
    return stop


def tell(folder, found):
    """Where everything is, for those who wait for it."""
    path = os.path.join(folder, "sim.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)
    print("ready %s control %s" % (found["url"], found["control_url"]), flush=True)
