"""What the simulator's tests share: one simulator for all of them, and a client of it."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from client import Client       # noqa: E402


class Lazy:
    """The client, once the simulator is there."""

    it = None

    def __getattr__(self, name):
        return getattr(Lazy.it, name)

    def __setattr__(self, name, value):
        setattr(Lazy.it, name, value)


client = Lazy()
state = {}


def setUpModule():
    folder = tempfile.mkdtemp(prefix="makini-test-")
    process = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "sim.py"), "--dir", folder, "--rows",
                                "item=300,transaction=400"], stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"ready"), "the simulator did not start"
    state.update(folder=folder, process=process)
    Lazy.it = Client(folder)


def tearDownModule():
    Lazy.it.close()
    state["process"].terminate()
    state["process"].wait(30)
    state["process"].stdout.close()
    shutil.rmtree(state["folder"])


class Case(unittest.TestCase):
    def setUp(self):
        client.control("POST", "/reset", {})

    def refused(self, text, detail="Invalid or unsupported search.", params=None, reason=None):
        reply = client.suiteql(text, params)
        self.assertEqual(reply.status, 400, text)
        self.assertEqual(reply.code, "INVALID_PARAMETER")
        self.assertIn(detail, reply.detail)
        if reason:
            self.assertIn(reason, client.last_reason())
        return reply
