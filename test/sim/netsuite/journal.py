"""The last requests, and counters that survive their being dropped.  Both simulators use this."""

import collections
import threading
import time


class Log:
    def __init__(self):
        self.lock = threading.Lock()
        self.clear()

    def clear(self):
        with self.lock:
            self.entries = collections.deque(maxlen=20000)
            self.number = 0
            self.counters = collections.Counter()
            self.peak = 0       # most requests at once, as who counts them notes it

    def add(self, entry):
        with self.lock:
            self.number += 1
            entry["n"] = self.number
            self.entries.append(entry)
            self.counters["requests"] += 1
            self.counters["status_%d" % entry["status"]] += 1
            self.counters[entry["service"]] += 1

    def answered(self, entry, answer, started):
        entry["status"] = answer.status
        entry["bytes"] = len(answer.body)
        entry["ms"] = round((time.monotonic() - started) * 1000, 3)
        if answer.faults:
            entry.setdefault("faults", []).extend(f.number for f in answer.faults)
        self.add(entry)

    def broke_off(self, entry, problem):
        entry.update(status=0, reason=repr(problem))
        self.add(entry)

    def select(self, since=0, service=None, limit=1000):
        with self.lock:
            found = [e for e in self.entries if e["n"] > since and service in (None, e["service"], e.get("base"))]
        return found[-limit:]
