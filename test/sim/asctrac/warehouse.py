"""The warehouse: its sites, items, stock, orders and the log of what happened, always the same for the same sizes.

Item numbers are those of the NetSuite simulator, in capitals as ASCTrac keeps them, so that the two can be joined.
"""

import datetime
import os
import random
import sys

from dotnet import NEVER, NO_DATE, Raw, encode_all
from feed import FEEDS, Bulk, Entry

HERE = os.path.dirname(os.path.abspath(__file__))
NETSUITE = os.path.join(os.path.dirname(HERE), "netsuite")

TODAY = datetime.datetime(2026, 9, 1)       # nothing has happened later

SITES = {"1": "DAY1", "2": "CIN2", "3": ""}     # internal id: what the host calls it
OWNERS = ["", "", "", "", "C1007", "C1011"]
VENDORS = ["V100", "V200", "V300", "VÖ400"]
REMARKS = ["", "", "", "as agreed", "hand over to Ms. O'Hara", "5 pallets \"loose\"", "Zürich", "a\\b", "back\ttab",
           "emoji 😀", "line one\r\nline two", "<b>&amp;</b>"]
WORK_STATUS = {"A": "Active", "D": "Pending", "N": "Not Scheduled", "P": "Preparing", "S": "Scheduled",
               "F": "Finished", "X": "Cancelled"}
STATUS = {"N": "Not Scheduled", "S": "Scheduled", "B": "Being Picked", "L": "Loaded on Dock", "G": "On Truck",
          "H": "Credit Hold", "C": "Confirmed Shipped", "X": "Cancelled"}
PO_STATUS = {"O": "Open", "L": "Receiving", "R": "Received", "C": "Closed", "X": "Cancelled"}
CARRIERS = ["UPSG", "FEDX", "LTL1"]
DOCKS = ["D01", "D02", "D03", "D04"]


def netsuite_items(wanted):
    """Item numbers of the NetSuite simulator; none where it is not beside us."""
    if not os.path.isdir(NETSUITE):
        return []
    sys.path.append(NETSUITE)
    from account import Account
    from data import Generator
    generator = Generator(Account())
    generator.generate()
    rows = generator.rows["item"]
    return [r["itemid"].upper() for r in rows if r["itemtype"] in ("InvtPart", "Assembly")][:wanted]


class Warehouse:
    def __init__(self, settings, clock, rows=None):
        self.settings = settings
        self.clock = clock
        self.sizes = rows or {}
        self.names = netsuite_items(self.size("item", 120))
        self.fresh()

    def fresh(self):
        """Everything as it is on the first day."""
        self.rng = random.Random(20260901)
        self.log = []               # TRANFILE
        self.parcels = []
        self.picks = []
        self.closed_receivers, self.closed_orders = set(), set()
        self.masters = {}           # what the imports stored: entity -> key -> values
        self.bulk = {}
        self.next_id = 1000
        self.make_items(self.size("item", 120))
        self.make_customers()
        self.make_stock()
        self.make_orders(self.size("order", 120))
        self.make_movements(self.size("movement", 300))
        self.make_receipts(self.size("purchase", 60))
        self.make_shipments()
        self.make_picks(self.size("pick", 80))
        self.make_floor()
        self.feeds = {cls.name.lower(): cls(self) for cls in FEEDS}
        for cls in FEEDS:
            count = int(self.sizes.get(cls.shape, 0))
            if count:
                self.bulk[cls.bulk_name] = Bulk(count)

    def size(self, name, usual):
        return int(self.sizes.get(name, usual))

    def number(self):
        self.next_id += 7 if self.next_id % 5 == 0 else 1
        return self.next_id

    def moment(self, days=400):
        return TODAY - datetime.timedelta(seconds=int(self.rng.random() ** 2 * days * 86400))

    # -- masters ------------------------------------------------------------------

    def make_items(self, count):
        rng = self.rng
        names = list(self.names)
        names += ["ASC-%04d" % n for n in range(len(names), count)]
        self.items = {}
        for n, name in enumerate(names):
            self.items[name] = {
                "ITEMID": name, "DESCRIPTION": "%s %s" % (name.title(), rng.choice(REMARKS)), "UOM": "EA",
                "BUY_UOM": "CS", "OWNER": OWNERS[n % len(OWNERS)], "COST": round(rng.uniform(0.1, 900), rng.choice([0, 2, 4])),
                "MFG_ID": None if n % 3 else "MFG%02d" % (n % 10), "CW_UOM": "LB" if n % 10 == 3 else None,
                "CATEGORY": rng.choice(["RAW", "FIN", "PKG"]), "DUAL": n % 10 == 3, "MADE": n % 8 == 5,
                "ZONE": "Z%d" % (n % 4 + 1)}
        self.names = names

    def make_customers(self):
        self.customers = {"C%04d" % n: {"CUST_ID": "C%04d" % n, "NAME": "Customer %d GmbH & Co." % n, "GROUP": ""}
                          for n in range(1001, 1031)}
        for n in range(1021, 1026):
            self.customers["C%04d" % n]["GROUP"] = "C1001"
        self.vendors = {v: {"NAME": "Vendor " + v} for v in VENDORS}

    # -- stock ----------------------------------------------------------------------

    def make_stock(self):
        rng = self.rng
        self.stock = []             # LOCITEMS
        self.history = {}
        for n, name in enumerate(self.names):
            if n % 11 == 10:
                continue            # none of it: a row of zero in the audit
            for _ in range(rng.randrange(1, 5)):
                site = "3" if n % 29 == 7 else rng.choice("112")
                quantity = rng.choice([1.0, 12.0, 48.0, 0.5, 7.25, round(rng.uniform(1, 5000), 3)])
                lot = "L%d%02d" % (240900 + n, rng.randrange(3)) if n % 2 else ""
                skid = "%09d" % (len(self.stock) * 13 + 100001) if len(self.stock) % 40 != 39 else \
                    "-PL%05d" % len(self.stock)
                received = self.moment(300)
                self.stock.append({
                    "SKIDID": skid, "SITE": site, "ITEMID": name, "OWNER": self.items[name]["OWNER"], "LOTID": lot,
                    "ALT_LOTID": "ALT-" + lot if lot and n % 4 == 1 else "", "QTY": quantity,
                    "ALLOCATED": quantity if rng.random() < 0.1 else 0.0,
                    "HOLD": rng.choice(["DMG", "TEST"]) if rng.random() < 0.12 else "",
                    "EXPDATE": TODAY + datetime.timedelta(days=30 * rng.randrange(1, 20)) if n % 3 == 1 else None,
                    "PRODUCED": received - datetime.timedelta(days=20), "RECEIVED": received,
                    "LOCATION": "%s-%02d-%02d" % (rng.choice("ABC"), rng.randrange(1, 13), rng.randrange(1, 6)),
                    "TYPE": rng.choice(["P", "P", "B", "T"]), "CONTAINER": "TOTE%03d" % (n % 50) if n % 6 == 2 else "",
                    "SERIAL": "SN%06d" % (n * 17) if n % 12 == 4 else "", "PICK_ORDER": ""})
                self.history[skid] = [{"TranDateTime": received + datetime.timedelta(days=d), "LocationID": place,
                                       "QtyTotal": quantity, "Notes": note, "successful": True, "ReturnMessage": ""}
                                      for d, place, note in ((0, "RECV", "Received"),
                                                             (1, self.stock[-1]["LOCATION"], "Moved"))]

    def audit(self, owner, site, item):
        """(rows, skipped): the snapshot of InventoryAudit, and whether zero rows were left out."""
        groups, lots = {}, self.settings["lots_in_audit"]
        for row in self.stock:
            if not SITES[row["SITE"]] or owner and row["OWNER"].lower() != owner.lower() or site and row["SITE"] != site \
                    or item and row["ITEMID"].lower() != item.lower():
                continue
            key = (row["SITE"], row["ITEMID"], row["OWNER"], row["EXPDATE"] or NEVER, row["LOTID"] if lots else "")
            groups.setdefault(key, []).append(row)
        found, seen = [], {(k[0], k[1]) for k in groups}
        for (s, name, holder, expires, lot), rows in groups.items():
            found.append((s, self.audit_row(s, name, holder, expires, lot, rows, lots)))
        skipped = False
        for s in (["1"] if not site or site == "1" else []):
            for name, master in self.items.items():
                if (s, name) in seen or item and name.lower() != item.lower() \
                        or owner and master["OWNER"].lower() != owner.lower():
                    continue
                if self.settings["zeros_in_audit"]:
                    found.append((s, self.audit_row(s, name, master["OWNER"], NO_DATE, "", [], lots)))
                else:
                    skipped = True
        found.sort(key=lambda pair: (pair[0], pair[1]["FACILITY"], pair[1]["PRODUCT_CODE"]))
        return [row for _, row in found], skipped

    def audit_row(self, site, name, owner, expires, lot, rows, lots):
        item = self.items[name]
        return {"FACILITY": SITES[site], "PRODUCT_CODE": name, "QUANTITY": round(sum(r["QTY"] for r in rows), 6),
                "CW_QTY": round(sum(r["QTY"] * 2.2 for r in rows), 6) if item["CW_UOM"] else 0.0,
                "CW_UOM": item["CW_UOM"], "LOTID": lot, "QTY_ALLOCATED": sum(r["ALLOCATED"] for r in rows),
                "QTY_ONHOLD": sum(r["QTY"] for r in rows if r["HOLD"]), "DATE_TIME": self.clock.text(),
                "UOM": item["UOM"], "VMI_CUSTID": item["OWNER"], "EXPDATE": expires,
                "ALT_LOTID": max((r["ALT_LOTID"] for r in rows), default="") if lots else "",
                "COST_EACH": item["COST"], "MFG_ID": item["MFG_ID"]}

    # -- the log ------------------------------------------------------------------------

    def note(self, kind, row, sub="", when=None):
        entry = Entry(self.number(), kind, row, sub)
        row["TIME"] = when or self.moment()
        self.log.append(entry)
        return entry

    def make_movements(self, count):
        rng = self.rng
        kinds = ["SC", "DI", "IP", "R2", "HS", "RP", "RW", "RK", "AD", "AH", "RY", "TZ", "RA"]
        for n in range(count):
            held = rng.choice(self.stock)
            kind = kinds[n % len(kinds)]
            self.note(kind, {
                "SITE": held["SITE"], "FACILITY": SITES[held["SITE"]], "PRODUCT_CODE": held["ITEMID"],
                "QUANTITY": rng.choice([-2.0, 5.0, 0.25, 1.5e-07, 123456789012345680.0, -held["QTY"]]),
                "LOTID": held["LOTID"], "SKIDID": held["SKIDID"], "VMI_CUSTID": held["OWNER"],
                "EXPDATE": held["EXPDATE"] or NEVER, "REMARK": rng.choice(REMARKS), "LOCATION": held["LOCATION"],
                "PONUMBER": "ASN-%05d" % n if n % 50 == 12 else "PO%05d" % n if n % 2 else "", "LINE_NUMBER": n % 4,
                "RELEASENUM": "00", "VENDORID": rng.choice(VENDORS), "RECEIVER_NO": "", "REASON": rng.choice(["DAMAGE", "COUNT", ""]),
                "USERID": rng.choice(["JSMITH", "MKLEIN"])}, "I" if kind == "RA" else "")

    def movement(self, entry):
        row, item = entry.row, self.items[entry.row["PRODUCT_CODE"]]
        sign = -1 if entry.type in ("SC", "DI") else 1
        number = row["PONUMBER"]
        return {
            "SUCCESSFUL": True, "ERROR_MESSAGE": "", "CREATE_DATETIME": row["TIME"], "FACILITY": row["FACILITY"],
            "PRODUCT_CODE": row["PRODUCT_CODE"], "QUANTITY": sign * row["QUANTITY"], "DATE_TIME": row["TIME"],
            "TRANS_TYPE": entry.type, "CW_UOM": item["CW_UOM"], "REASON_CODE": row["REASON"], "LOTID": row["LOTID"],
            "ORDERNUMBER": number[4:] if number.startswith("ASN-") else number, "LINE_NUMBER": row["LINE_NUMBER"],
            "EXPDATE": row["EXPDATE"], "VMI_CUSTID": row["VMI_CUSTID"], "SKIDID": row["SKIDID"], "WHSE_ID": "W1",
            "FROM_LOCATION": row["LOCATION"], "TO_LOCATION": "" if entry.id % 2 else "B-01-01",
            "RECVDATETIME": row["TIME"] - datetime.timedelta(days=3), "VENDORID": row["VENDORID"],
            "COMMENTS": row["REMARK"], "STOCK_UOM": item["UOM"], "USERID": row["USERID"],
            "CATEGORY": item["CATEGORY"], "COST_EACH": item["COST"], "MFG_ID": item["MFG_ID"],
            "SPLIT_ORDER_FLAG": "Not Split" if entry.type in ("RP", "IP") else None,
            "TRANFILE_REC_ID": entry.id}

    def make_receipts(self, count):
        rng = self.rng
        for n in range(count):
            number = "ASN-%05d" % n if n % 20 == 4 else "PO'%03d" % n if n == 11 else "PO%06d" % (4000 + n)
            site = "3" if n % 17 == 9 else rng.choice("12")
            receiver = "RCV%05d" % (700 + n)
            when = self.moment(120)
            for line in range(rng.randrange(1, 4)):
                name = rng.choice(self.names)
                lot = "PL%04d" % (n * 3 + line) if n % 2 else ""
                for skid in range(rng.randrange(1, 4)):
                    self.note(["RX", "RX", "RF", "RA"][n % 4], {
                        "SITE": site, "FACILITY": SITES[site], "PONUMBER": number, "RELEASENUM": "00",
                        "LINE_NUMBER": 0 if n % 13 == 6 else line + 1, "PRODUCT_CODE": name, "LOTID": lot,
                        "VENDORID": VENDORS[n % len(VENDORS)], "RECEIVER_NO": receiver,
                        "SKIDID": "R%04d%02d%02d" % (n, line, skid), "QUANTITY": float(rng.randrange(1, 500)),
                        "VMI_CUSTID": self.items[name]["OWNER"], "REMARK": rng.choice(REMARKS),
                        "EXPDATE": when + datetime.timedelta(days=365) if lot else NEVER, "USERID": "RECV1"}, "", when)
            if n % 3 == 0:
                self.closed_receivers.add(receiver)
            if n % 5 == 0:
                self.closed_orders.add(number)
            received = sum(e.row["QUANTITY"] for e in self.log if e.row.get("RECEIVER_NO") == receiver)
            self.purchases[number] = {
                "PONUMBER": number, "RELEASENUM": "00", "VENDORID": VENDORS[n % len(VENDORS)], "SITE": site,
                "STATUS": "C" if n % 5 == 0 else "R", "EXPECTED": when, "RECEIVER": receiver, "ORDERED": received,
                "RECEIVED": received}
        for n in range(count, count + 15):
            number = "PO%06d" % (4000 + n)
            self.purchases[number] = {
                "PONUMBER": number, "RELEASENUM": "00", "VENDORID": VENDORS[n % len(VENDORS)], "SITE": "12"[n % 2],
                "STATUS": "OLX"[n % 3], "EXPECTED": TODAY + datetime.timedelta(days=n % 7), "RECEIVER": "",
                "ORDERED": 100.0 + n, "RECEIVED": 0.0 if n % 3 == 0 else 25.0}

    def plain_receipt(self):
        return next(e for e in self.log if e.type in ("RX", "RF") and e.row["FACILITY"])

    def receipt_line(self, entries):
        row, item = entries[0].row, self.items[entries[0].row["PRODUCT_CODE"]]
        return {
            "ID": max(e.id for e in entries), "SUCCESSFUL": True, "ERROR_MESSAGE": "", "FACILITY": row["FACILITY"],
            "RECEIVER_NO": row["RECEIVER_NO"], "LINE_NUMBER": row["LINE_NUMBER"],
            "ORDER_TYPE": "A" if entries[0].type == "RA" else "E", "PONUMBER": row["PONUMBER"],
            "QTY_RECEIVED": sum(e.row["QUANTITY"] for e in entries), "PRODUCT_CODE": row["PRODUCT_CODE"],
            "STATUS": "C" if row["PONUMBER"] in self.closed_orders else "R", "CW_UOM": item["CW_UOM"],
            "BIN_LOCATION": "RECV", "LOTID": row["LOTID"],
            "CLOSED_PO_FLAG": "C" if row["PONUMBER"] in self.closed_orders else None,
            "EXPIRED_DATE_BY_LOT": row["EXPDATE"], "CUST_ID": row["VMI_CUSTID"], "RECEIVED_DATE": row["TIME"],
            "RELEASENUM": row["RELEASENUM"], "CUSTOM_HDRDATA1": row["REMARK"], "RECV_OPR": row["USERID"][:20],
            "VENDOR_ID": row["VENDORID"], "UOM": item["BUY_UOM"]}

    def receipt_license(self, entries):
        row, item = entries[0].row, self.items[entries[0].row["PRODUCT_CODE"]]
        number = row["PONUMBER"]
        return {
            "SUCCESSFUL": True, "ERROR_MESSAGE": "", "FACILITY": row["FACILITY"], "PRODUCT_CODE": row["PRODUCT_CODE"],
            "QUANTITY": sum(e.row["QUANTITY"] for e in entries), "UOM": item["BUY_UOM"], "DATE_TIME": row["TIME"],
            "TRANS_TYPE": "RL", "CW_UOM": item["CW_UOM"], "LOTID": row["LOTID"],
            "ORDERNUMBER": number[4:] if number.startswith("ASN-") else number, "LINE_NUMBER": row["LINE_NUMBER"],
            "EXPDATE": row["EXPDATE"], "VMI_CUSTID": row["VMI_CUSTID"], "SKIDID": row["SKIDID"], "WHSE_ID": "W1",
            "RECVDATETIME": row["TIME"], "VENDORID": row["VENDORID"], "COMMENTS": row["REMARK"],
            "RECEIVER_NO": row["RECEIVER_NO"], "STOCK_UOM": item["UOM"], "USERID": row["USERID"],
            "CATID": item["CATEGORY"], "RELEASENUM": row["RELEASENUM"], "MFG_ID": item["MFG_ID"],
            "COST_EACH": item["COST"]}

    # -- customer orders ---------------------------------------------------------------------

    def make_orders(self, count):
        rng = self.rng
        self.orders, self.purchases = {}, {}
        clients = list(self.customers)
        for n in range(count):
            number = "O'MALLEY-1" if n == 17 else "SO%06d" % (50000 + n)
            status = "NSBLGHCCCX"[n % 10]
            when = TODAY + datetime.timedelta(days=rng.randrange(-20, 10), hours=8 + n % 9)
            lines = []
            for line in range(rng.randrange(1, 5)):
                name = rng.choice(self.names)
                ordered = float(rng.randrange(1, 200))
                lines.append({"LINE_NUMBER": line + 1, "ITEMID": name, "ORDERED": ordered,
                              "PICKED": ordered if status in "LGC" else 0.0 if line % 2 else ordered / 2,
                              "LOTID": "L%04d" % n if n % 3 == 0 else "", "SUBSTITUTED": line == 3})
            self.orders[number] = {
                "ORDERNUMBER": number, "SITE": "1" if n % 4 else "2", "TYPE": "CT"[n % 9 == 8], "CUST_ID": clients[n % len(clients)],
                "STATUS": status, "DOCK": DOCKS[n // 3 % len(DOCKS)], "CARRIER": rng.choice(CARRIERS), "SCHEDULED": when,
                "REQUIRED": when + datetime.timedelta(days=1), "DURATION": 60, "TRAILER": "TR%03d" % (n % 25),
                "CREATED_BY": "TABLET" if n % 2 else "IMPORT", "LINES": lines, "REMARK": rng.choice(REMARKS),
                "CREATED": when - datetime.timedelta(days=5)}

    def belongs(self, number, customer):
        """The customer filter of the order feeds: sold-to, or what the sold-to is associated with."""
        if not customer:
            return True
        client = self.customers.get(self.orders[number]["CUST_ID"], {}) if number in self.orders else {}
        return customer.lower() in (client.get("CUST_ID", "").lower(), client.get("GROUP", "").lower() or None)

    def make_shipments(self):
        rng = self.rng
        shipment = 9000
        for n, order in enumerate(self.orders.values()):
            number = order["ORDERNUMBER"]
            base = {"ORDERNUMBER": number, "SITE": order["SITE"], "FACILITY": SITES[order["SITE"]], "REASON": ""}
            when = order["SCHEDULED"]
            if order["STATUS"] in "LGC":
                self.note("LO", dict(base, SHIPMENT_ID=shipment, PICKSTATUS="L"), "LDT"[n % 3], when)
            if n % 7 == 0:
                self.note("LC", dict(base, PICKSTATUS="S", NEW=when, OLD=when - datetime.timedelta(days=1)), "", when)
            if order["STATUS"] == "C":
                for part in range(2 if n % 20 == 6 else 1):
                    shipment += 1
                    self.note("CS", dict(base, SHIPMENT_ID=shipment, PICKSTATUS="C", USERID="SHIP1",
                                         COST=round(rng.uniform(5, 90), 2)), "", when + datetime.timedelta(hours=2 + part))
                for part in range(n % 4):
                    self.parcels.append(Entry(self.number(), "parcel", {
                        "ORDERNUMBER": number, "PARCEL_NUMBER": "1Z%06d%02d" % (n, part), "FACILITY": SITES[order["SITE"]],
                        "CARRIER": order["CARRIER"], "WEIGHT": round(rng.uniform(0.2, 30), 2), "COST": 7.5,
                        "SHIPDATE": when, "LINE": order["LINES"][0]}))
                if n % 10 == 8:
                    self.parcels.append(Entry(self.number(), "trailer", {
                        "ORDERNUMBER": number, "PARCEL_NUMBER": "PRO%06d" % n, "FACILITY": SITES[order["SITE"]],
                        "CARRIER": "LTL1", "COST": 350.0, "SHIPDATE": when}))
            if n % 30 == 5:
                self.note("LU", dict(base, PICKSTATUS="U"), "", when)
        for n, number in enumerate(sorted({e.row["PONUMBER"] for e in self.log if e.type in ("RX", "RF")})[:12]):
            self.note("LR", {"ORDERNUMBER": number, "SITE": "1", "FACILITY": "DAY1", "VENDORID": VENDORS[n % 4],
                             "PICKSTATUS": "O", "NEW": TODAY, "OLD": TODAY - datetime.timedelta(days=2)})

    def confirm(self, order):
        """Confirmed as shipped now: the order and what the feeds tell of it."""
        order["STATUS"] = "C"
        shipment = 1 + max(e.row["SHIPMENT_ID"] for e in self.log if e.type == "CS")
        self.note("CS", {"ORDERNUMBER": order["ORDERNUMBER"], "SITE": order["SITE"], "FACILITY": SITES[order["SITE"]],
                         "REASON": "", "SHIPMENT_ID": shipment, "PICKSTATUS": "C", "USERID": "Interface", "COST": 0.0},
                  "", TODAY)

    def plain_shipment(self):
        return next(e for e in self.log if e.type == "CS" and "'" not in e.row["ORDERNUMBER"])

    def shipped_order(self, entry):
        row, order = entry.row, self.orders[entry.row["ORDERNUMBER"]]
        when, bill = row["TIME"], "BOL%06d" % row["SHIPMENT_ID"]
        picks, serials = [], []
        for line in order["LINES"]:
            item = self.items[line["ITEMID"]]
            picks.append({"CREATE_DATETIME": when, "SHIPMENT_NUMBER": bill, "LINE_NUMBER": line["LINE_NUMBER"],
                          "PRODUCT_CODE": line["ITEMID"], "EXT_PRICE": round(line["ORDERED"] * item["COST"], 4),
                          "QTY_ORDERED": line["ORDERED"],
                          "QTY_SHIPPED": float("nan") if order["ORDERNUMBER"] == "SO050036" and line["LINE_NUMBER"] == 1
                          else 0.0 if line["SUBSTITUTED"] else line["PICKED"],
                          "CW_UOM": item["CW_UOM"], "ITEM_NUMBER": line["ITEMID"], "LOTID": line["LOTID"] or None,
                          "HOST_UOM": item["UOM"], "PICK_OPR": "PICK1", "CUSTOM_DATA5": ""})
            if line["LINE_NUMBER"] == 1:
                serials = [{"CREATE_DATETIME": when, "ORDER_LINENUM": 1, "SER_NUM": "SN%s-%d" % (order["ORDERNUMBER"], k),
                            "ITEMID": line["ITEMID"], "LOTID": line["LOTID"], "QTY": 1.0}
                           for k in range(row["SHIPMENT_ID"] % 3)]
        containers = [{"CREATE_DATETIME": when, "SHIPMENT_NUMBER": bill, "CONTAINER_ID": "CTN%06d-%d" % (row["SHIPMENT_ID"], k),
                       "PALLET_TYPE": "CHEP", "TOTAL_WEIGHT": 100.5 * (k + 1)} for k in range(row["SHIPMENT_ID"] % 4)]
        return {
            "SUCCESSFUL": True, "ERROR_MESSAGE": "", "CREATE_DATETIME": when, "SHIPMENT_NUMBER": bill,
            "ORDER_TYPE": order["TYPE"], "ORDERNUMBER": order["ORDERNUMBER"], "CUST_ID": order["CUST_ID"],
            "CUST_PO_NUM": "PO " + order["ORDERNUMBER"][-3:], "FREIGHT_COST": row.get("COST", 0.0), "DOC_TYPE": "SO",
            "FACILITY": row["FACILITY"], "LOCKED_FLAG": "L", "ORDER_SOURCE": "I", "USERID": row.get("USERID", ""),
            "CARRIER": order["CARRIER"], "CUSTOM_DATA1": order["REMARK"],
            "PicksList": Raw(encode_all("cust_order_export_picks", picks)),
            "ContainersList": Raw(encode_all("cust_order_export_containers", containers)),
            "SerialsList": Raw(encode_all("cust_order_export_serials", serials))}

    def status_visible(self, entry, customer):
        if entry.type == "LR":
            return not customer or entry.row["VENDORID"].lower() == customer.lower()
        order = self.orders[entry.row["ORDERNUMBER"]]
        return not customer or order["CUST_ID"].lower() == customer.lower()

    def status_event(self, entry):
        row = entry.row
        purchase = entry.type == "LR"
        return {
            "SUCCESSFUL": True, "ERROR_MESSAGE": "", "CREATE_DATETIME": self.clock.text(), "FACILITY": row["FACILITY"],
            "ORDERNUMBER": row["ORDERNUMBER"], "RESCHEDULED_FLAG": "T" if entry.type in ("LC", "LR") else "F",
            "ORDER_TYPE": "R" if purchase else "C", "PICKSTATUS": row["PICKSTATUS"], "NEWDATETIME": row.get("NEW", NEVER),
            "ORIGINALDATETIME": row.get("OLD", NEVER),
            "CUSTOMERID": None if purchase else self.orders[row["ORDERNUMBER"]]["CUST_ID"],
            "VENDORID": row["VENDORID"] if purchase else None, "TRANSACTION_DATE": row["TIME"]}

    def parcel(self, entry):
        row = entry.row
        found = {"Successful": True, "ErrorMessage": "", "CREATE_DATETIME": row["SHIPDATE"], "FACILITY": row["FACILITY"],
                 "ORDERNUMBER": row["ORDERNUMBER"], "PARCEL_NUMBER": row["PARCEL_NUMBER"], "CARRIER": row["CARRIER"],
                 "FREIGHT_COST": row["COST"], "SHIPDATE": row["SHIPDATE"], "TRACKING_NUMBER": row["PARCEL_NUMBER"],
                 "USERID": "SHIP1", "SEAL_NUMBERS": ""}
        if entry.type == "trailer":
            found.update(CREATE_DATETIME=self.clock.text(), SEAL_NUMBERS="S1|S2")
        else:
            line = row["LINE"]
            found.update(WEIGHT=row["WEIGHT"], ITEMID=line["ITEMID"], ASCITEMID="1&%s&" % line["ITEMID"],
                         ITEM_DESC=self.items[line["ITEMID"]]["DESCRIPTION"], LINENUMBER=line["LINE_NUMBER"],
                         LOT_ID=line["LOTID"], QTY=line["PICKED"])
        return found

    def make_picks(self, count):
        rng = self.rng
        numbers = list(self.orders)
        for n in range(count):
            held = self.stock[n % len(self.stock)]
            entry = Entry(self.number(), "pick", {
                "SITE_ID": held["SITE"], "ASSIGNMENT_NUMBER": 8000 + n // 4, "TYPE_OF_PICK": "P", "ORDERTYPE": "CW"[n % 5 == 4],
                "ORDERNUMBER": numbers[n % len(numbers)], "PRIORITY": n % 3, "DELIVERY_LOCATION": "DOCK1",
                "DELIVERY_DATE": TODAY, "PICK_SEQUENCE_NO": n % 4 + 1, "ITEMID": held["ITEMID"], "ZONEID": "Z1",
                "LOCATIONID": held["LOCATION"], "LOTID": held["LOTID"], "SKIDID": held["SKIDID"], "FULL_CASE": "F",
                "PCE_TYPE": "E", "QTY_TO_PICK": float(rng.randrange(1, 20)), "UNIT_WEIGHT": 1.25,
                "ITEM_DESCRIPTION": self.items[held["ITEMID"]]["DESCRIPTION"], "EXPDATE_FIRST": held["EXPDATE"] or NEVER})
            entry.flag = "R"
            self.picks.append(entry)

    # -- what only the interactive service tells of ------------------------------------------------

    def make_floor(self):
        rng = self.rng
        self.appointments = []
        for n in range(60):
            kind = "CPHARUZSVB"[n % 10]
            order = list(self.orders.values())[n]
            self.appointments.append({
                "SchedID": "%d" % (300 + n), "OrderType": kind, "OrderNumber": "PO%06d" % (4060 + n % 15) if kind in "PR"
                else order["ORDERNUMBER"], "SITE": "1" if n % 5 else "2", "Dock": DOCKS[n % 4], "CarrierID": rng.choice(CARRIERS),
                "CustID": rng.choice(VENDORS) if kind in "PRV" else order["CUST_ID"], "Duration": 60,
                "Sched_Datetime": TODAY + datetime.timedelta(days=n // 4 % 5, hours=6 + n % 12),
                "PickStatus": "SSNBLX"[n % 6]})
        self.work_orders = []
        for n, name in enumerate([x for x in self.names if self.items[x]["MADE"]]):
            make = float(rng.randrange(10, 500))
            self.work_orders.append({
                "Workorder_ID": "WO%05d" % (800 + n), "Prod_ItemID": name, "SITE": "1" if n % 4 else "2",
                "Prodline": "LINE%d" % (n % 3 + 1), "Status": "ADNPSFX"[n % 7], "QtyToMake": make,
                "QtyMade": make if n % 7 == 5 else make // 3, "Sched_Datetime": TODAY + datetime.timedelta(days=n % 5, hours=7),
                "LotID": "WL%04d" % n})
        self.zones = {"Z%d" % z: [{"LocationID": "F%d-%02d" % (z, n), "RestockPoint": 10.0, "RestockQty": 100.0,
                                   "Quantity": float(rng.randrange(0, 60)), "Scheduled": float(rng.randrange(0, 90)),
                                   "Ordered": float(rng.randrange(0, 120))} for n in range(1, 9)] for z in range(1, 5)}
        self.components = {name: [self.names[(n * 7 + k + 1) % len(self.names)] for k in range(3)]
                           for n, name in enumerate(self.names) if self.items[name]["MADE"]}
