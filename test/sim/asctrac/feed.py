"""The queues: rows with a posted flag, what a GET takes out of them, what a PUT settles.

F was never handed out, S was, T is acknowledged, E is refused.  The GET marks its rows before a byte of the answer is
sent.  Rows made in bulk are only a number and a flag until they are rendered.
"""

import json
import re

from dotnet import Raw, encode
from shape import SHAPES

FRESH, HANDED, DONE, REFUSED = b"FSTE"
MARK = "\ue000%s\ue000"


class Entry:
    """One row of the transaction log, or of another queue."""

    __slots__ = ("id", "type", "row", "flag", "status", "message", "time", "sub")

    def __init__(self, number, kind, row, sub=""):
        self.id = number
        self.type = kind
        self.sub = sub
        self.row = row
        self.flag = "F"         # POSTED
        self.status = "F"       # POSTED3, of the status feed
        self.message = ""


class Apostrophe(Exception):
    """A key went into the SQL text as it was."""


def wanted(flags, again):
    return flags in ("F", "S") if again else flags == "F"


class Bulk:
    """Many rows alike; the places of a number in them differ."""

    def __init__(self, count):
        self.flags = bytearray(b"F" * count)
        self.messages = {}

    def take(self, again, limit=None):
        """Numbers of the rows to hand out, marked."""
        if not again and limit is None and self.flags.count(FRESH) == len(self.flags):
            self.flags = bytearray(b"S" * len(self.flags))
            return range(len(self.flags))
        codes = (FRESH, HANDED) if again else (FRESH,)
        found = [n for n, flag in enumerate(self.flags) if flag in codes][:limit]
        for n in found:
            self.flags[n] = HANDED
        return found

    def settle(self, number, good, message):
        if 0 <= number < len(self.flags) and self.flags[number] == HANDED:
            self.flags[number] = DONE if good else REFUSED
            if message:
                self.messages[number] = message
            return 1
        return 0

    def count(self):
        return {c: self.flags.count(c.encode()) for c in "FSTE"}


class Template:
    """The rendering of a bulk row: the text of a pattern row with its number put in."""

    def __init__(self, text):
        pieces = text.split(MARK % "n")
        self.pattern = "%08d".join(piece.replace("%", "%%") for piece in pieces).encode()
        self.places = len(pieces) - 1

    def render(self, numbers):
        """Pieces of some hundred rows each, without the brackets."""
        pattern, places = self.pattern, self.places
        batch = []
        for n in numbers:
            batch.append(pattern % ((n,) * places))
            if len(batch) == 250:
                yield b",".join(batch)
                batch = []
        if batch:
            yield b",".join(batch)


class Feed:
    """What the feeds share; a subclass says which entries are its rows and how they look."""

    name = ""
    shape = ""
    flag = "flag"
    bulk_name = None            # feeds that share it share their bulk rows
    needs = ()                  # required query names
    ack_names = ("SUCCESSFUL", "ERROR_MESSAGE")

    def __init__(self, house):
        self.house = house
        self.template = None

    @property
    def bulk(self):
        return self.house.bulk.get(self.bulk_name)

    # -- reading

    def take(self, filters, settings):
        """(rendered rows, numbers of bulk rows): chosen, rendered, and only then marked in one go."""
        again = settings["include_processing"]
        rows, chosen = [], []
        for row, entries in self.groups(filters, again):
            if filters.limit is not None and len(rows) >= filters.limit:
                break
            rows.append(encode(self.shape, row).encode())
            chosen.extend(entries)
        for entry in chosen:
            self.mark(entry)
        numbers = ()
        bulk = self.bulk
        if bulk and (filters.limit is None or filters.limit > len(rows)) and not filters.excludes_bulk:
            numbers = bulk.take(again, None if filters.limit is None else filters.limit - len(rows))
        return rows, numbers

    def mark(self, entry):
        setattr(entry, self.flag, "S")

    def open(self, entry, again):
        return wanted(getattr(entry, self.flag), again)

    def groups(self, filters, again):
        raise NotImplementedError

    def render_bulk(self, numbers):
        if self.template is None:
            self.template = Template(self.bulk_text())
        return self.template.render(numbers)

    def bulk_text(self):
        return encode(self.shape, self.bulk_row())

    # -- acknowledging

    def acknowledge(self, items):
        """Settle what matches; raises where the server's SQL would break, with nothing settled."""
        plan = []
        for item in items:
            given = {k.lower(): v for k, v in item.items()}
            good = given.get(self.ack_names[0].lower(), True)
            message = given.get(self.ack_names[1].lower(), "")
            if message is None:
                raise TypeError()
            key = self.key_of(given)
            self.check_key(key)
            plan.append((key, good is not False, str(message)))
        index = self.index()
        settled = 0
        for key, good, message in plan:
            for entry in index.get(key, ()):
                if getattr(entry, self.flag) == "S":
                    setattr(entry, self.flag, "T" if good else "E")
                    entry.message = "" if good else message
                    settled += 1
            number = self.bulk_number(key)
            if number is not None and self.bulk:
                settled += self.bulk.settle(number, good, message)
        return settled

    def check_key(self, key):
        for part in key:
            if isinstance(part, str) and "'" in part:
                raise Apostrophe(part)

    def index(self):
        found = {}
        for entry in self.entries():
            key = self.entry_key(entry)
            if key is not None:
                found.setdefault(key, []).append(entry)
        return found

    def bulk_number(self, key):
        """The number of the bulk row with this key, if it is one."""
        return None

    def state(self):
        """Flag by row, for tests."""
        found = [{"id": e.id, "type": e.type, "key": list(self.entry_key(e) or ()), "flag": getattr(e, self.flag),
                  "message": e.message} for e in self.entries()]
        counts = {c: sum(1 for e in found if e["flag"] == c) for c in "FSTE"}
        if self.bulk:
            for code, count in self.bulk.count().items():
                counts[code] += count
        return {"rows": found, "counts": counts, "messages": self.bulk.messages if self.bulk else {}}


def text(given, name):
    value = given.get(name.lower())
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def whole(given, name):
    try:
        return int(float(given.get(name.lower()) or 0))
    except (TypeError, ValueError):
        return 0


def line_or_item(line, item):
    """PUTs match on the line number, or on the item where there is none."""
    return line if line else item


class Filters:
    """What the query or the body of a GET asks for."""

    def __init__(self, **values):
        self.customer = values.get("customer") or None
        self.exclude = [t for t in (values.get("exclude") or "").split(",") if t]
        self.completed = bool(values.get("completed"))
        self.kind = values.get("kind") or "C"
        self.order_type = values.get("order_type") or None
        limit = values.get("limit")
        self.limit = limit if limit and limit > 0 else None
        self.excludes_bulk = bool(self.customer or self.completed or self.kind == "P" or self.order_type)


# -- the feeds -------------------------------------------------------------------------

MOVES = {"SC", "DI", "IP", "R2", "HS", "RP", "RW", "RK", "AD", "AH", "RY", "TZ"}
RECEIPTS = {"RX", "RF", "RA"}


class TranFile(Feed):
    name, shape, bulk_name = "TranFileExport", "tranfile_export", "tranfile_export"
    needs = ("acustid", "aexcludetrantype")

    def entries(self):
        return [e for e in self.house.log if e.type in MOVES or e.type == "RA" and e.sub == "I"]

    def groups(self, filters, again):
        found = [e for e in self.entries() if self.open(e, again) and e.row["FACILITY"]
                 and (not filters.customer or e.row["VMI_CUSTID"].lower() == filters.customer.lower())
                 and e.type not in filters.exclude]
        found.sort(key=lambda e: (e.row["FACILITY"], e.id))
        return [(self.house.movement(e), [e]) for e in found]

    def entry_key(self, entry):
        return (entry.id,)

    def key_of(self, given):
        return (whole(given, "TRANFILE_REC_ID"),)

    def bulk_row(self):
        row = dict(self.house.movement(self.entries()[0]))
        row.update(SKIDID=MARK % "n", TRANFILE_REC_ID=Raw("1" + MARK % "n" + ".0"))
        return row

    def bulk_number(self, key):
        return key[0] - 100000000 if key[0] >= 100000000 else None


class POFeed(Feed):
    """Lines and licenses: two views of the same receipts and of the same flags."""

    bulk_name = "po_lines_export"
    needs = ("aonlysendcompletedreceipt",)

    def entries(self):
        return [e for e in self.house.log if e.type in RECEIPTS]

    def chosen(self, filters, again):
        found = [e for e in self.entries() if self.open(e, again)
                 and (not filters.completed or e.row["RECEIVER_NO"] in self.house.closed_receivers
                      or e.row["PONUMBER"] in self.house.closed_orders)]
        found.sort(key=lambda e: (e.row["SITE"], e.row["PONUMBER"], e.row["RELEASENUM"], e.row["LINE_NUMBER"]))
        return found

    def groups(self, filters, again):
        groups = {}
        for entry in self.chosen(filters, again):
            row = entry.row
            key = [row[n] for n in ("SITE", "PONUMBER", "RELEASENUM", "LINE_NUMBER", "PRODUCT_CODE", "LOTID", "VENDORID",
                                    "RECEIVER_NO")] + [entry.type] + self.extra_key(row)
            groups.setdefault(tuple(key), []).append(entry)
        return [(self.view(entries), entries) for entries in groups.values()]


class POLines(POFeed):
    name, shape = "POLinesExport", "po_lines_export"

    def extra_key(self, row):
        return []

    def view(self, entries):
        return self.house.receipt_line(entries)

    def entry_key(self, entry):
        row = entry.row
        return (row["PONUMBER"], row["RELEASENUM"], line_or_item(row["LINE_NUMBER"], row["PRODUCT_CODE"]), row["LOTID"],
                row["RECEIVER_NO"])

    def key_of(self, given):
        return (text(given, "PONUMBER"), text(given, "RELEASENUM"),
                line_or_item(whole(given, "LINE_NUMBER"), text(given, "PRODUCT_CODE")), text(given, "LOTID"),
                text(given, "RECEIVER_NO"))

    def bulk_row(self):
        row = self.house.receipt_line([self.house.plain_receipt()])
        row.update(PONUMBER="BULK" + MARK % "n", ID=Raw("1" + MARK % "n"))
        return row

    def bulk_number(self, key):
        return bulk_number(key[0])


class POLicenses(POFeed):
    name, shape = "POLicensesExport", "po_licenses_export"

    def extra_key(self, row):
        return [row["SKIDID"]]

    def view(self, entries):
        return self.house.receipt_license(entries)

    def mark(self, entry):
        # the number is stripped before the marking, which then matches nothing
        if not entry.row["PONUMBER"].startswith("ASN-"):
            super().mark(entry)

    def entry_key(self, entry):
        row = entry.row
        return (row["PONUMBER"], row["RELEASENUM"], line_or_item(row["LINE_NUMBER"], row["PRODUCT_CODE"]), row["LOTID"],
                row["SKIDID"], row["RECEIVER_NO"])

    def key_of(self, given):
        return (text(given, "ORDERNUMBER"), text(given, "RELEASENUM"),
                line_or_item(whole(given, "LINE_NUMBER"), text(given, "PRODUCT_CODE")), text(given, "LOTID"),
                text(given, "SKIDID"), text(given, "RECEIVER_NO"))

    def bulk_row(self):
        row = self.house.receipt_license([self.house.plain_receipt()])
        row.update(ORDERNUMBER="BULK" + MARK % "n", SKIDID=MARK % "n")
        return row

    def bulk_number(self, key):
        return bulk_number(key[0])


def bulk_number(name):
    match = re.fullmatch(r"BULK(\d{8,})", str(name))
    return int(match.group(1)) if match else None


class CustOrders(Feed):
    name, shape, bulk_name = "CustOrderExport", "cust_order_export", "cust_order_export"
    needs = ("acustid",)

    def entries(self):
        return [e for e in self.house.log if e.type in ("PK", "CS") or e.type == "LO" and e.sub in "LDT"]

    def groups(self, filters, again):
        kind = {"C": "CS", "P": "LO"}.get(filters.kind, "CS")
        found = [e for e in self.entries() if e.type == kind and self.open(e, again)
                 and self.house.belongs(e.row["ORDERNUMBER"], filters.customer)]
        found.sort(key=lambda e: (e.row["SHIPMENT_ID"], e.row["ORDERNUMBER"], e.id))
        return [(self.house.shipped_order(e), [e]) for e in found]

    def entry_key(self, entry):
        return (entry.row["ORDERNUMBER"],)

    def key_of(self, given):
        return (text(given, "ORDERNUMBER"),)

    def bulk_row(self):
        row = dict(self.house.shipped_order(self.house.plain_shipment()))
        row.update(ORDERNUMBER="BULK" + MARK % "n", SHIPMENT_NUMBER="B" + MARK % "n")
        return row

    def bulk_number(self, key):
        return bulk_number(key[0])


class CustOrderStatus(Feed):
    name, shape, bulk_name = "CustOrderStatusExport", "cust_order_status_export", "cust_order_status_export"
    needs = ("acustid",)
    flag = "status"

    def entries(self):
        return [e for e in self.house.log if e.type in ("LC", "LO", "CS", "CU", "LU", "LR") and e.sub != "packed"]

    def groups(self, filters, again):
        found = [e for e in self.entries() if self.open(e, again) and self.house.status_visible(e, filters.customer)]
        found.sort(key=lambda e: (e.row["ORDERNUMBER"], e.id))
        return [(self.house.status_event(e), [e]) for e in found]

    def entry_key(self, entry):
        return (entry.row["ORDERNUMBER"],)

    def key_of(self, given):
        return (text(given, "ORDERNUMBER"),)

    def bulk_row(self):
        row = dict(self.house.status_event(self.entries()[0]))
        row.update(ORDERNUMBER="BULK" + MARK % "n")
        return row

    def bulk_number(self, key):
        return bulk_number(key[0])


class Parcels(Feed):
    name, shape, bulk_name = "ParcelExport", "parcel_export", "parcel_export"
    needs = ("acustid",)
    ack_names = ("Successful", "ErrorMessage")

    def entries(self):
        return self.house.parcels

    def open(self, entry, again):
        return entry.flag != "T"        # S and E come again, whatever the setting

    def mark(self, entry):
        if entry.type == "parcel":
            entry.flag = "S"

    def groups(self, filters, again):
        found = [e for e in self.entries() if self.open(e, again)
                 and self.house.belongs(e.row["ORDERNUMBER"], filters.customer)]
        found.sort(key=lambda e: (e.type, moment_key(e), e.row["ORDERNUMBER"]))
        return [(self.house.parcel(e), [e]) for e in found]

    def take(self, filters, settings):
        rows, numbers = super().take(filters, settings)
        if self.bulk and not filters.excludes_bulk:
            flags = self.bulk.flags
            numbers = [n for n, flag in enumerate(flags) if flag != DONE]
            for n in numbers:
                flags[n] = HANDED
        return rows, numbers

    def entry_key(self, entry):
        return (entry.row["ORDERNUMBER"], entry.row["PARCEL_NUMBER"])

    def key_of(self, given):
        return (text(given, "ORDERNUMBER"), text(given, "PARCEL_NUMBER"))

    def acknowledge(self, items):
        settled = super().acknowledge(items)
        for entry in self.entries():
            entry.message = ""          # accepted, but never stored
        return settled

    def bulk_row(self):
        row = dict(self.house.parcel(self.house.parcels[0]))
        row.update(ORDERNUMBER="BULK" + MARK % "n", PARCEL_NUMBER="P" + MARK % "n")
        return row

    def bulk_number(self, key):
        return bulk_number(key[0])


def moment_key(entry):
    return str(entry.row.get("SHIPDATE", "")) if entry.type == "parcel" else ""


class WCSPicks(Feed):
    """Handed out once, row by row; there is no acknowledgement."""

    name, shape, bulk_name = "WCSPicks", "wcs_picks", "wcs_picks"
    needs = ("aordertype",)

    def entries(self):
        return self.house.picks

    def open(self, entry, again):
        return entry.flag == "R"

    def groups(self, filters, again):
        return [(e.row, [e]) for e in self.entries()
                if self.open(e, again) and (not filters.order_type or e.row["ORDERTYPE"] == filters.order_type)]

    def entry_key(self, entry):
        return tuple(entry.row[n] for n in ("ASSIGNMENT_NUMBER", "ORDERNUMBER", "PICK_SEQUENCE_NO", "ITEMID",
                                            "LOCATIONID", "SKIDID"))

    def bulk_row(self):
        row = dict(self.entries()[0].row)
        row.update(ORDERNUMBER="BULK" + MARK % "n", SKIDID=MARK % "n")
        return row


FEEDS = (TranFile, POLines, POLicenses, CustOrders, CustOrderStatus, Parcels, WCSPicks)

assert all(feed.shape in SHAPES for feed in FEEDS)
