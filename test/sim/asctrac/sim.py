#!/usr/bin/python3
"""A strict simulator of ASCTrac's two services: the host interface with its consuming feeds, and the interactive one.

Prints one line and writes DIR/sim.json when it is ready; ends with its parent or at SIGTERM.  See README.md.
"""

import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NETSUITE = os.path.join(os.path.dirname(HERE), "netsuite")
sys.path[:0] = [HERE]
sys.path.append(NETSUITE)       # its listeners, process, log and items
sys.dont_write_bytecode = True

from desk import Desk                                       # noqa: E402
from dotnet import Clock                                    # noqa: E402
from interactive import Interactive                         # noqa: E402
from interface import Interface, Tokens                     # noqa: E402
from journal import Log                                     # noqa: E402
from process import Authority, begin, pairs, settings_of, tell      # noqa: E402
from server import Listener                                 # noqa: E402
from service import Faults, Service                         # noqa: E402
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


def listen(options):
    settings = Settings(**settings_of(options))
    house = Warehouse(settings, Clock(settings), pairs(options.rows))
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


def main():
    options = arguments()
    stop = begin(options)
    tell(options.dir, listen(options))
    stop.wait()


if __name__ == "__main__":
    main()
