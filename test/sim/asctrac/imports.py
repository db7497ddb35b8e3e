"""What comes in: one object a request, upserts and actions, and the reasons they are refused for."""

import datetime

from dotnet import NEVER, bind
from shape import SHAPES
from warehouse import SITES, TODAY


class Reason(Exception):
    """Why an import failed."""


class NullReference(Reason):
    def __init__(self):
        super().__init__("Object reference not set to an instance of an object.")


# controller: its name in messages, its shape
IMPORTS = {
    "itemmasterimport": ("ItemMaster", "item_master_import"),
    "customermasterimport": ("CustomerMaster", "customer_master_import"),
    "vendorimport": ("Vendor", "vendor_import"),
    "lotimport": ("Lot", "lot_import"),
    "custorderimport": ("CustOrder", "cust_order_import"),
    "poimport": ("PO", "po_import"),
    "asnimport": ("ASN", "asn_import"),
    "controlledcount": ("ControlledCount", "controlled_count_import"),
    "qchold": ("QCHold", "qc_hold_import"),
}

# Lengths that the database checks; the real ones are not public.
LENGTHS = {
    ("itemmasterimport", "PRODUCT_CODE"): ("ITEMID", "ITEMMSTR", 30),
    ("customermasterimport", "CUST_ID"): ("CUSTID", "CUST", 20),
    ("customermasterimport", "CUST_NAME"): ("CUSTNAME", "CUST", 60),
    ("vendorimport", "VENDOR_CODE"): ("VENDORID", "VENDOR", 20),
    ("lotimport", "LOTID"): ("LOTID", "LOT", 30),
    ("custorderimport", "ORDERNUMBER"): ("ORDERNUMBER", "ORDRHDR", 30),
    ("poimport", "PONUMBER"): ("PONUMBER", "POHDR", 30),
    ("asnimport", "ASN"): ("ASN", "ASN_HDR", 30),
}
CUTS = {("itemmasterimport", "DESCRIPTION"): 60, ("itemmasterimport", "PROD_ALTDESC"): 60}
KEYS = {
    "itemmasterimport": ("FACILITY", "PRODUCT_CODE", "VMI_CUSTID"), "customermasterimport": ("CUST_ID",),
    "vendorimport": ("VENDOR_CODE",), "lotimport": ("FACILITY", "PRODUCT_CODE", "LOTID"),
    "custorderimport": ("ORDERNUMBER",), "poimport": ("PONUMBER", "RELEASENUM"), "asnimport": ("ASN",),
    "controlledcount": ("COUNTID",),
}
# Numbers that only overwrite when they are above zero.
POSITIVE = {"CONVERSION_UNIT_1", "CONVERSION_UNIT_2", "CONVERSION_UNIT_3", "UNITWIDTH", "UNITLENGTH", "UNITHEIGHT",
            "UNITWEIGHT", "CUBIC_PER_EACH", "SHELF_LIFE", "PRIORITY_ID", "BUY_TO_STOCK_CONV_FACTOR", "USERLEVELNUMBER"}
# The names that the table of translations knows; others vanish.
CUSTOM_FIELDS = {"COLOR", "SIZE", "SEASON"}
LINES = {"custorderimport": ("DetailList", "cust_order_import_lines"), "poimport": ("PODetList", "po_import_lines"),
         "asnimport": ("DetailList", "asn_import_lines"), "controlledcount": ("DetailList", "controlled_count_import_lines")}
COUNT_FIELDS = {"ITEMID", "ZONEID", "ABCZONE", "VMI_CUSTID", "VMI_RESPID", "STANDARDCOST", "LOCATIONID"}


class Imports:
    def __init__(self, house, settings):
        self.house = house
        self.settings = settings

    def store(self, name, body, entry):
        """Carry one object out; the text of a partial success, or None.  Raises Reason."""
        if name.startswith("wcs"):
            return self.pick(name, bind("wcs_picks", body))
        shape = IMPORTS[name][1]
        given = self.lists(name, bind(shape, body))
        entry["key"] = [given[k] for k in KEYS.get(name, ())]
        return getattr(self, name)(given)

    def lists(self, name, given):
        """Nested lists bound, notes and custom fields cleaned, lengths checked, null lists refused."""
        for member, kind, _ in SHAPES[IMPORTS[name][1]]:
            if kind in "lm" and given[member] is None:
                raise NullReference()
            if kind == "l" and (not isinstance(given[member], list) or any(not isinstance(x, dict) for x in given[member])):
                raise NullReference()
        for (which, member), (column, table, length) in LENGTHS.items():
            if which == name and given[member] and len(given[member]) > length:
                raise Reason("Value for Column %s in table %s is too large." % (column, table))
        for (which, member), length in CUTS.items():
            if which == name and given[member]:
                given[member] = given[member][:length]
        if name in LINES:
            member, shape = LINES[name]
            given[member] = [self.clean(bind(shape, line)) for line in given[member]]
        return self.clean(given)

    def clean(self, given):
        """What is really kept of custom fields and notes."""
        for member in ("CustomList", "NotesList"):
            if member in given and given[member] is None:
                raise NullReference()
        if "CustomList" in given:
            given["CustomList"] = [f for f in given["CustomList"] if str(f.get("FieldName", "")).upper() in CUSTOM_FIELDS]
        if "NotesList" in given:
            given["NotesList"] = [dict(n, NOTE=str(n["NOTE"])[:250]) for n in given["NotesList"]
                                  if str(n.get("NOTE") or "").strip()]
        return given

    def facility(self, name, text="No Facility or Site defined for record."):
        """The internal site of a host facility."""
        for site, host in SITES.items():
            if host and name and host.lower() == name.lower():
                return site
        raise Reason(text)

    def upsert(self, name, given, key):
        """Empty text leaves what is stored; numbers are always written."""
        table = self.house.masters.setdefault(IMPORTS[name][1], {})
        stored = table.setdefault(key, {})
        for member, kind, used in SHAPES[IMPORTS[name][1]]:
            value = given[member]
            if not used or kind == "s" and not value or kind == "t" and value == NEVER or kind in "lm" and not value \
                    or member in POSITIVE and value <= 0:
                stored.setdefault(member, None if kind in "st" else 0 if kind in "di" else value)
                continue
            stored[member] = value
        return stored

    # -- masters ----------------------------------------------------------------------

    def itemmasterimport(self, given):
        self.facility(given["FACILITY"])
        if not given["PRODUCT_CODE"]:
            raise Reason("Value for Column ITEMID in table ITEMMSTR is required.")
        if not given["STATUS_FLAG"]:
            raise Reason("Invalid status flag")
        given["PRODUCT_CODE"] = given["PRODUCT_CODE"].upper()
        stored = self.upsert("itemmasterimport", given, (given["FACILITY"].upper(), given["PRODUCT_CODE"],
                                                         given["VMI_CUSTID"] or ""))
        self.house.items.setdefault(given["PRODUCT_CODE"], {
            "ITEMID": given["PRODUCT_CODE"], "DESCRIPTION": stored["DESCRIPTION"] or "", "UOM": stored["STOCK_UOM"] or "EA",
            "BUY_UOM": "", "OWNER": given["VMI_CUSTID"] or "", "COST": given["STD_COST"], "MFG_ID": given["MFG_ID"],
            "CW_UOM": None, "CATEGORY": given["CATEGORY"] or "", "DUAL": False, "MADE": False, "ZONE": "Z1"})

    def customermasterimport(self, given):
        if not given["CUST_ID"]:
            raise Reason("Value for Column CUSTID in table CUST is required.")
        if given["STATUS_FLAG"] is None:
            raise NullReference()
        self.upsert("customermasterimport", given, (given["CUST_ID"],))
        self.house.customers.setdefault(given["CUST_ID"], {"CUST_ID": given["CUST_ID"], "GROUP": "",
                                                           "NAME": given["CUST_NAME"] or ""})

    def vendorimport(self, given):
        if not given["VENDOR_CODE"]:
            raise Reason("Value for Column VENDORID in table VENDOR is required.")
        if not given["STATUS"]:
            raise Reason("Invalid Status")
        if given["STATUS"] == "D":
            self.house.masters.get("vendor_import", {}).pop((given["VENDOR_CODE"],), None)
            return
        self.upsert("vendorimport", given, (given["VENDOR_CODE"],))

    def lotimport(self, given):
        for member in ("LOTID", "PRODUCT_CODE"):
            if not given[member]:
                raise Reason("Value for Column %s in table LOT is required." % member.replace("PRODUCT_CODE", "ITEMID"))
            given[member] = given[member].upper()
        if not given["FACILITY"]:
            for key in list(self.house.masters.get("lot_import", {})):
                if key[1:] == (given["PRODUCT_CODE"], given["LOTID"]):
                    self.upsert("lotimport", given, key)
            return
        self.facility(given["FACILITY"], "Site ID not found for Host Site ID: " + given["FACILITY"])
        self.upsert("lotimport", given, (given["FACILITY"].upper(), given["PRODUCT_CODE"], given["LOTID"]))

    # -- orders -----------------------------------------------------------------------

    def missing_items(self, lines):
        return [line["PRODUCT_CODE"] or "" for line in lines if (line["PRODUCT_CODE"] or "").upper() not in self.house.items]

    def custorderimport(self, given):
        site = self.facility(given["FACILITY"])
        number, flag = given["ORDERNUMBER"], given["STATUS_FLAG"]
        if not number:
            raise Reason("Value for Column ORDERNUMBER in table ORDRHDR is required.")
        if not flag:
            raise Reason("Invalid Status Flag")
        known = self.house.orders.get(number)
        status = known["STATUS"] if known else None
        table = self.house.masters.setdefault("cust_order_import", {})
        if flag in "CX":
            if status in ("C", "L", "G", "B"):
                raise Reason("Cancel Order failed. Order either shipped or picked.")
            if known:
                known["STATUS"] = "X"
            return None
        if status == "C":
            raise Reason("Order %s already Shipped." % number)
        if status == "X":
            raise Reason("Order %s already Cancelled." % number)
        if flag in "DV":
            self.house.orders.pop(number, None)
            table.pop((number,), None)
            return None
        if given["BILL_TO_CUST_ID"] and given["SHIP_TO_CUST_ID"] is None or known and given["ORDER_TYPE"] is None \
                or any(line["STATUS_FLAG"] is None for line in given["DetailList"]):
            raise NullReference()
        missing = self.missing_items(given["DetailList"])
        lines = [line for line in given["DetailList"] if (line["PRODUCT_CODE"] or "") not in missing]
        given["DetailList"] = lines
        self.upsert("custorderimport", given, (number,))
        self.put_order(number, site, given, lines, known)
        if missing:
            return "Customer Order: %s, Missing Items: %s" % (number, ", ".join(missing))
        return None

    def put_order(self, number, site, given, lines, known):
        when = given["LEAVES_DATE"] if given["LEAVES_DATE"] != NEVER else TODAY
        order = known or {"ORDERNUMBER": number, "SITE": site, "TYPE": (given["ORDER_TYPE"] or "S")[:1], "STATUS": "N",
                          "DOCK": "", "CARRIER": "", "SCHEDULED": when, "DURATION": 60, "TRAILER": "",
                          "CREATED_BY": "IMPORT", "LINES": [], "REMARK": "", "CREATED": TODAY, "CUST_ID": ""}
        order.update(REQUIRED=when, CUST_ID=given["BILL_TO_CUST_ID"] or order["CUST_ID"],
                     CARRIER=given["CARRIER"] or order["CARRIER"])
        if order["CUST_ID"]:
            self.house.customers.setdefault(order["CUST_ID"], {"CUST_ID": order["CUST_ID"], "GROUP": "",
                                                               "NAME": given["BILL_TO_NAME"] or ""})
        by_line = {line["LINE_NUMBER"]: line for line in order["LINES"]}
        for line in lines:
            at = line["LINE_NUMBER"] if line["LINE_NUMBER"] > 0 else max(by_line, default=0) + 1
            if line["STATUS_FLAG"] in ("D", "V"):
                by_line.pop(at, None)
                continue
            by_line[at] = {"LINE_NUMBER": at, "ITEMID": line["PRODUCT_CODE"].upper(), "ORDERED": line["QUANTITY"],
                           "PICKED": 0.0, "LOTID": line["REQUESTED_LOT"] or "", "SUBSTITUTED": False}
        order["LINES"] = [by_line[n] for n in sorted(by_line)]
        self.house.orders[number] = order

    def poimport(self, given):
        self.facility(given["FACILITY"])
        number, flag = given["PONUMBER"], given["STATUS_FLAG"]
        if not number:
            raise Reason("PO Number value is required.")
        if not flag:
            raise Reason("STATUS_FLAG value is required.")
        if given["ORDER_TYPE"] == "A":
            raise Reason("Invalid Order Type")
        key = (number, given["RELEASENUM"] or "00")
        table = self.house.masters.setdefault("po_import", {})
        known = self.house.purchases.get(number)
        if known and known["STATUS"] in ("C", "X", "R"):
            raise Reason("Cannot update PO# %s: PO is already %s." % (
                number, {"C": "Completed", "X": "Cancelled", "R": "Received"}[known["STATUS"]]))
        if flag in "DV":
            table.pop(key, None)
            self.house.purchases.pop(number, None)
            return None
        missing = self.missing_items(given["PODetList"])
        action = self.settings["po_missing_item"]
        if missing and action == 0:
            raise Reason("Item %s not found." % missing[0])
        if missing and action == 1:
            given["PODetList"] = [x for x in given["PODetList"] if (x["PRODUCT_CODE"] or "") not in missing]
        if action == 2:
            for item in missing:
                self.house.masters.setdefault("skeleton", {})[(item,)] = {"PRODUCT_CODE": item}
        given["RELEASENUM"] = key[1]
        self.upsert("poimport", given, key)
        self.house.purchases[number] = {
            "PONUMBER": number, "RELEASENUM": key[1], "VENDORID": given["VENDOR_CODE"] or "", "STATUS": "C" if flag == "C" else "O",
            "EXPECTED": given["ARRIVAL_DATE"], "SITE": self.facility(given["FACILITY"]), "RECEIVER": "",
            "ORDERED": sum(x["QUANTITY"] for x in given["PODetList"]), "RECEIVED": 0.0}
        if missing and action == 1:
            return "Purchase Order: %s, Missing Items: %s" % (number, ", ".join(missing))
        return None

    def asnimport(self, given):
        self.facility(given["FACILITY"])
        number = given["ASN"]
        if not number:
            raise Reason("ASN value is required.")
        table = self.house.masters.setdefault("asn_import", {})
        known = table.get((number,))
        if known and known.get("STATUS", "N") != "N":
            raise Reason("ASN status has changed, cannot update.")
        if known:
            known["DetailList"] = []        # the old detail goes before the new one is looked at
        held = {row["SKIDID"] for row in self.house.stock}
        for line in given["DetailList"]:
            if (line["ITEMID"] or "").upper() not in self.house.items or line["SKIDID"] and line["SKIDID"] in held:
                raise Reason("")            # the reason is only logged
        self.upsert("asnimport", given, (number,))["STATUS"] = "N"

    # -- actions ------------------------------------------------------------------------

    def controlledcount(self, given):
        self.facility(given["FACILITY"], "")
        if given["SCHED_START_DATE"] < datetime.datetime(2020, 1, 1):
            raise Reason("No period exists for scheduled start date %s" % given["SCHED_START_DATE"].strftime("%m/%d/%Y"))
        table = self.house.masters.setdefault("controlled_count_import", {})
        number = given["COUNTID"]
        if number <= 0:
            number = max((k[0] for k in table), default=100) + 1
        given["DetailList"] = [x for x in given["DetailList"] if (x["FIELDNAME"] or "").upper() in COUNT_FIELDS]
        known = table.get((number,))
        if known:
            known["DetailList"] = known["DetailList"] + given["DetailList"]
            return
        given["COUNTID"] = number
        table[(number,)] = given

    def qchold(self, given):
        site = self.facility(given["Facility"])
        action = (given["Transaction"] or "")[:1].upper()
        found = []
        for row in self.house.stock:
            if row["SITE"] != site or SITES[row["SITE"]] == "":
                continue
            if given["License_ID"]:
                if row["SKIDID"] != given["License_ID"]:
                    continue
            elif any(given[m] and row[c] != given[m] for m, c in (
                    ("Product_Code", "ITEMID"), ("VMI_Cust_ID", "OWNER"), ("Lot_ID", "LOTID"), ("Alt_Lot_ID", "ALT_LOTID"))):
                continue
            if bool(row["HOLD"]) == (action in ("R", "C")):
                found.append(row)
        if not found:
            raise Reason("No records found on hold" if action in ("R", "C") else "No records found to put on hold")
        for row in found:
            row["HOLD"] = "" if action == "R" else given["Add_Reason_Code"] or "HOLD"
        self.house.masters.setdefault("qc_hold_import", {})[(self.house.number(),)] = dict(given, licenses=len(found))

    def confirm_ship(self, number):
        """Why an order cannot be confirmed as shipped, or None once it is."""
        if "'" in number:
            return "Error confirm shipping order %s: Incorrect syntax near '%s'." % (number, number.split("'")[1])
        order = self.house.orders.get(number)
        if order is None:
            return "Error confirm shipping order %s: order not found." % number
        if order["STATUS"] not in ("L", "G"):
            return "Error confirm shipping order %s: status is %s." % (number, order["STATUS"])
        self.house.confirm(order)
        self.house.masters.setdefault("cust_order_confirm_ship", {})[(number,)] = {"aOrderNumber": number}
        return None

    def pick(self, name, given):
        wanted = (given["ASSIGNMENT_NUMBER"], given["ORDERNUMBER"], given["PICK_SEQUENCE_NO"])
        for entry in self.house.picks:
            row = entry.row
            if (float(row["ASSIGNMENT_NUMBER"]), row["ORDERNUMBER"], float(row["PICK_SEQUENCE_NO"])) == wanted:
                break
        else:
            raise Reason("Pick not found.")
        new = {"wcspicks": ("S", "C"), "wcsunpick": ("C", "S"), "wcsrepick": ("CSX", "R"), "wcscancel": ("RSC", "X")}[name]
        if entry.flag not in new[0]:
            raise Reason("Pick status is %s." % entry.flag)
        entry.flag = new[1]
        entry.message = "" if name != "wcspicks" else "%s" % given["QTY_PICKED"]


