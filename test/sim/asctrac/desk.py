"""The control port: JSON over plain HTTP, for tests only.  README.md lists the calls."""

import json
import urllib.parse

from feed import Bulk, Entry
from server import Answer


class Desk:
    def __init__(self, house, interface, interactive, settings, faults, log):
        self.house = house
        self.interface = interface
        self.interactive = interactive
        self.settings = settings
        self.initial = dict(settings)
        self.faults = faults
        self.log = log

    def handle(self, request, connection):
        parts = request.path.strip("/").split("/")
        handler = getattr(self, "%s_%s" % (request.method.lower(), parts[0]), None)
        if handler is None:
            return self.reply(404, {"error": "no %s %s" % (request.method, request.path)})
        try:
            body = json.loads(request.body) if request.body.strip() else {}
            arguments = dict(urllib.parse.parse_qsl(request.query))
            with self.interface.lock:
                return self.reply(200, handler(body, arguments, parts[1:]))
        except (KeyError, ValueError, TypeError) as problem:
            return self.reply(400, {"error": "%s: %s" % (type(problem).__name__, problem)})

    def reply(self, status, body):
        return Answer(status, {"Content-Type": "application/json"}, json.dumps(body, default=str, ensure_ascii=False))

    # -- faults, settings, tokens

    def get_fault(self, body, arguments, rest):
        return self.faults.describe()

    def post_fault(self, body, arguments, rest):
        return self.faults.arm(body).describe()

    def delete_fault(self, body, arguments, rest):
        self.faults.clear(int(rest[0]) if rest else None)
        return {}

    def get_setting(self, body, arguments, rest):
        return self.settings

    def post_setting(self, body, arguments, rest):
        self.settings.change(body)
        return self.settings

    def post_token(self, body, arguments, rest):
        """Revoke the tokens issued, {"fixed": true} the lasting one too; {"restore": true} brings that back."""
        if body.get("restore"):
            self.interface.tokens.restore()
        else:
            self.interface.tokens.revoke(bool(body.get("fixed")))
        return {"issued": self.interface.tokens.issued}

    def post_reset(self, body, arguments, rest):
        """Everything as it was at the start, flags and imported data too, but for the log's numbers."""
        self.faults.clear()
        self.settings.change(self.initial)
        self.house.fresh()
        self.interface.tokens.restore()
        self.interactive.overlaps, self.interactive.sticky, self.interactive.slots = 0, None, 0
        self.log.clear()
        return {}

    # -- state

    def get_feed(self, body, arguments, rest):
        """Flags by row: /feed/TranFileExport; counts of all: /feed."""
        if rest:
            return self.house.feeds[rest[0].lower()].state()
        return {feed.name: feed.state()["counts"] for feed in self.house.feeds.values()}

    def post_flag(self, body, arguments, rest):
        """Put the flag of every row of a feed, or of those with some keys, back: {"feed":, "flag": "F", "ids": []}."""
        feed = self.house.feeds[body["feed"].lower()]
        flag = body.get("flag", "F")
        changed = 0
        for entry in feed.entries():
            if "ids" not in body or entry.id in body["ids"]:
                setattr(entry, feed.flag, flag)
                changed += 1
        if feed.bulk and "ids" not in body:
            feed.bulk.flags = bytearray(flag.encode() * len(feed.bulk.flags))
        return {"changed": changed}

    def post_bulk(self, body, arguments, rest):
        """So many rows made in bulk, for {"feed":, "rows":}; 0 takes them away."""
        feed = self.house.feeds[body["feed"].lower()]
        if int(body["rows"]):
            self.house.bulk[feed.bulk_name] = Bulk(int(body["rows"]))
        else:
            self.house.bulk.pop(feed.bulk_name, None)
        return {}

    def post_row(self, body, arguments, rest):
        """One more row of a feed like its first one: {"feed":, "changes": {...}} of the row's own members."""
        feed = self.house.feeds[body["feed"].lower()]
        pattern = next(iter(feed.entries()))
        unknown = set(body.get("changes", {})) - set(pattern.row)
        if unknown:
            raise KeyError("a row has no %s; it has: %s" % (", ".join(unknown), ", ".join(pattern.row)))
        entry = Entry(self.house.number(), pattern.type, dict(pattern.row, **body.get("changes", {})), pattern.sub)
        entry.flag = body.get("flag", "R" if feed.name == "WCSPicks" else "F")
        {"ParcelExport": self.house.parcels, "WCSPicks": self.house.picks}.get(feed.name, self.house.log).append(entry)
        return {"id": entry.id}

    def get_master(self, body, arguments, rest):
        """What the imports stored: /master/item_master_import."""
        if not rest:
            return {name: len(rows) for name, rows in self.house.masters.items()}
        return list(self.house.masters.get(rest[0], {}).values())

    def get_stock(self, body, arguments, rest):
        return self.house.stock

    def post_stock(self, body, arguments, rest):
        """Change licenses: {"skid":, "changes": {...}}."""
        for row in self.house.stock:
            if row["SKIDID"] == body["skid"]:
                row.update(body["changes"])
        return {}

    # -- what happened

    def get_log(self, body, arguments, rest):
        return self.log.select(int(arguments.get("since", 0)), arguments.get("service"),
                               int(arguments.get("limit", 1000)))

    def delete_log(self, body, arguments, rest):
        self.log.clear()
        return {}

    def get_counter(self, body, arguments, rest):
        with self.log.lock:
            return dict(self.log.counters, last=self.log.number, overlaps=self.interactive.overlaps,
                        slots=self.interactive.slots)
