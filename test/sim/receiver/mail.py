#!/usr/bin/python3
"""A mail server for tests: aiosmtpd, keeping what it gets.

    mail.py DIR [--refuse CODE]

Writes DIR/port, and each mail into DIR/mails as a line of JSON: from, to, content.
With --refuse the server answers DATA with that code until DIR/accept exists.
"""
import json
import os
import sys
import time

from aiosmtpd.controller import Controller

DIRECTORY = sys.argv[1]
REFUSAL = sys.argv[3] if len(sys.argv) > 3 else None


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        if REFUSAL and not os.path.exists(os.path.join(DIRECTORY, "accept")):
            return REFUSAL + " not now"
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "content": envelope.content.decode()}
        with open(os.path.join(DIRECTORY, "mails"), "a", encoding="utf-8") as mails:
            mails.write(json.dumps(mail) + "\n")
        return "250 kept"


class AnyPort(Controller):
    """aiosmtpd connects to itself to find out whether it listens: it must know its port."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


controller = AnyPort(Keeper(), hostname="127.0.0.1", port=0)
controller.start()
with open(os.path.join(DIRECTORY, "port.new"), "w", encoding="utf-8") as port:
    port.write(str(controller.port))
os.rename(os.path.join(DIRECTORY, "port.new"), os.path.join(DIRECTORY, "port"))
while True:
    time.sleep(60)
