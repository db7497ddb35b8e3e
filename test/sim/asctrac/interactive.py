"""The interactive service: look-ups in an envelope that is always HTTP 200, and that fall over each other.

Its server keeps the user and the site in static variables: calls at the same time see each other's context.
"""

import base64
import datetime
import json
import re
import threading
import time
import urllib.parse

from dotnet import NEVER, Raw, data_set, encode, encode_all
from interface import JSON, Fail, Unauthorized
from server import Answer
from warehouse import PO_STATUS, SITES, STATUS, TODAY, WORK_STATUS

TYPES = {"C": "Customer Order", "L": "Load Plan", "H": "Shipment", "P": "Purchase Order", "R": "Receiver", "A": "ASN",
         "F": "Containerized Freight", "M": "RMA", "U": "Unload Trailer", "Z": "Available Trailer",
         "S": "Customer Appointment", "V": "Vendor Appointment", "B": "Blocked", "T": "Transfer"}

PAIR = ("auserid", "asiteid")
COUNTS = ("acountnum", "astartlocid", "aendlocid", "astartitemid", "aenditemid", "aincludeloccounted",
          "aincludelocuncounted", "aincludereviewed", "aincludeinvall", "aincludeqtyvar", "aincludelocchg",
          "aincludelocempty")

# (controller, verb): the overloads, by the query names each needs.
ROUTES = {
    ("invlookup", "GET"): [
        (("aitemid", "aincludeqc", "aincludeexp", "aincludepicked", "afieldtype", "afieldvalue") + PAIR, "stock"),
        (("askidid", "aitemid", "alocationid") + PAIR, "license")],
    ("invlookup", "PUT"): [((), "count_license")],
    ("invhistorylookup", "GET"): [(("askidid", "aitemid", "alocationid") + PAIR, "history")],
    ("invavail", "GET"): [(("aordernumber", "alinenum", "aincludeqc", "aincludeexp") + PAIR, "order_stock")],
    ("bom", "GET"): [(("aitemid", "aqty") + PAIR, "availability")],
    ("physcount", "GET"): [(COUNTS + PAIR, "count_locations"), (PAIR, "counts")],
    ("dockschd", "GET"): [(("aid",), "dock")],
    ("dockschd", "POST"): [((), "appoint")],
    ("coinfo", "GET"): [(("acustfiltertype", "acustdata", "afiltertype", "afilterdata") + PAIR, "orders"),
                        (("aordernumber",) + PAIR, "order")],
    ("cosched", "GET"): [(("aordernumber",) + PAIR, "order_schedule")],
    ("cosched", "PUT"): [((), "schedule_order")],
    ("cosmsummary", "GET"): [(("astatuslist", "adockrange", "adatefield", "adatefilter") + PAIR, "status_summary")],
    ("costatusbyco", "GET"): [(("astatuslist", "adockrange", "adate", "adatefield", "adatefilter") + PAIR, "order_status")],
    ("cocontainerlookup", "GET"): [(("aordernumber", "acontainerid", "acntrtype") + PAIR, "containers")],
    ("cocontainerlookup", "POST"): [((), "new_trailer")],
    ("poinfo", "GET"): [(("avendorfiltertype", "avendordata", "afiltertype", "afilterdata") + PAIR, "purchases"),
                        (("aponumber",) + PAIR, "purchase")],
    ("postatusbypo", "POST"): [((), "purchase_status")],
    ("postatussummary", "POST"): [((), "purchase_summary")],
    ("wohdr", "GET"): [(("aprodline", "adate") + PAIR, "work_orders"), (("aworkorder",) + PAIR, "work_order")],
    ("wosm", "GET"): [(("abywo", "astatuslist", "aprodlinerange", "adatefield", "adatefilter") + PAIR, "work_status")],
    ("replen", "GET"): [(("azoneid", "areplenfiltertype") + PAIR, "replenish")],
    ("replensummary", "GET"): [(("azoneid", "areplenfiltertype") + PAIR, "replenish_summary")],
    ("inspection", "GET"): [(("aordertype", "aordernum", "atrailernum", "atrailertype", "atrailerweight", "aoverride")
                             + PAIR, "inspection")],
    ("logon", "POST"): [((), "logon")],
    ("logoff", "POST"): [((), "logoff")],
}

OVERLAP = "There is already an open DataReader associated with this Command which must be closed first."


class Failure(Exception):
    """successful: false and a text."""


class Interactive:
    def __init__(self, house, tokens, settings, lock):
        self.house = house
        self.tokens = tokens
        self.settings = settings
        self.lock = lock                # of the data, not of the service: that has none
        self.gate = threading.Lock()
        self.running = []
        self.overlaps = 0
        self.sticky = None
        self.slots = 0

    def answer(self, request, entry):
        """The answer to one request; calls at the same time are noticed, and suffer."""
        ticket = {"overlapped": False}
        with self.gate:
            self.running.append(ticket)
            if len(self.running) > 1:
                self.overlaps += 1
                for other in self.running:
                    other["overlapped"] = True
        try:
            latency = self.settings["rest_latency_ms"]
            if latency:
                time.sleep(latency / 1000.0)
            return self.guarded(request, entry, ticket)
        finally:
            with self.gate:
                self.running.remove(ticket)

    def guarded(self, request, entry, ticket):
        try:
            return self.route(request, entry, ticket)
        except Fail as problem:
            entry["reason"] = str(problem)
            return Answer(problem.status, dict(problem.headers, **{"Content-Type": JSON}), json.dumps(problem.body))

    # -- routing ------------------------------------------------------------------------

    def route(self, request, entry, ticket):
        match = re.fullmatch(r"/api/([^/]+)", request.path.rstrip("/").lower())
        name = match.group(1) if match else ""
        entry["service"] = name or "other"
        scheme = "http" if request.listener.endswith("http") else "https"
        missing = Fail(404, "No HTTP resource was found that matches the request URI '%s://%s%s'." % (
            scheme, request.host, request.target))
        verbs = [verb for controller, verb in ROUTES if controller == name]
        if not verbs:
            raise missing
        if request.method not in verbs:
            raise Fail(405, "The requested resource does not support http method '%s'." % request.method,
                       {"Allow": ",".join(verbs)})
        query = {}
        for key, value in urllib.parse.parse_qsl(request.query, keep_blank_values=True):
            query.setdefault(key.lower(), value)
        for names, handler in ROUTES[(name, request.method)]:
            if all(n in query for n in names):
                break
        else:
            raise missing
        if name in ("logon", "inspection") and self.settings["rest_authentication"]:
            self.authenticate(request, entry)
        return self.carry_out(handler, request, query, entry, ticket)

    def authenticate(self, request, entry):
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            _, _, token = base64.b64decode(text).decode().partition(":")
        except ValueError:
            token = ""
        if scheme != "Basic" or token not in self.tokens.good:
            entry["reason"] = "login: no token of the service"
            raise Unauthorized("Basic")

    def body(self, request):
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in ("application/json", "text/json"):
            raise Fail(415, "The request entity's media type '%s' is not supported for this resource." % kind)
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Failure("Object reference not set to an instance of an object.")
        return body

    def carry_out(self, handler, request, query, entry, ticket):
        try:
            given = query if request.method == "GET" else self.body(request)
            with self.lock:
                self.check(given)
                found = getattr(self, handler)(given)
            answer = found if isinstance(found, Answer) else self.envelope(True, None, found)
        except Failure as problem:
            entry["reason"] = str(problem)
            answer = self.envelope(False, str(problem), None)
        return self.suffer(answer, entry) if ticket["overlapped"] else answer

    def suffer(self, answer, entry):
        """What a call gets that ran beside another one."""
        entry["overlap"] = True
        mode = self.settings["rest_overlap"]
        if mode == "refuse":
            return self.envelope(False, OVERLAP, None)
        if mode == "corrupt":       # nothing where there was something: another site's answer, as it were
            return self.envelope(True, None, "[]" if b'"DataMessage":"[' in answer.body else "OK<NewDataSet />")
        return answer

    def envelope(self, good, message, data):
        body = {"HHID": None, "UnitID": None, "ConnectionID": None, "successful": good, "ErrorMessage": message,
                "DataMessage": data, "anImage": None}
        return Answer(200, {"Content-Type": JSON}, json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    def check(self, given):
        """The statements are put together from text."""
        for value in given.values():
            if isinstance(value, str) and value.count("'") % 2:
                raise Failure("Incorrect syntax near '%s'.\r\nUnclosed quotation mark after the character string ''."
                              % value.split("'")[1][:20])

    def site(self, given):
        wanted = given.get("asiteid", "")
        if not self.settings["site_filter"]:
            if self.sticky is None:
                self.sticky = wanted
            wanted = self.sticky
        return wanted

    def boolean(self, text):
        if text.lower() not in ("true", "false"):
            raise Fail(400, "The request is invalid.")
        return text.lower() == "true"

    def number(self, text):
        try:
            return float(text)
        except ValueError:
            raise Fail(400, "The request is invalid.")

    def day(self, text):
        for form in ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M:%S"):
            try:
                return datetime.datetime.strptime(text, form).replace(hour=0, minute=0, second=0)
            except ValueError:
                continue
        raise Failure("String was not recognized as a valid DateTime.")

    # -- stock ----------------------------------------------------------------------------

    def license_row(self, row):
        loose = {"PREALLOC_ORDERNUMBER": row["PICK_ORDER"]}
        return {"SKIDID": row["SKIDID"], "QTYTOTAL": row["QTY"], "QTYONHOLD": row["QTY"] if row["HOLD"] else 0.0,
                "LOCATIONID": row["LOCATION"], "EXPDATE": row["EXPDATE"], "ITEMID": row["ITEMID"],
                "LOTID": row["LOTID"] or None, "REASONFORHOLD": row["HOLD"] or None, "DATETIMEPROD": row["PRODUCED"],
                "TYPE": row["TYPE"], "PICKABLE_FLAG": "T", "DESCRIPTION": self.house.items[row["ITEMID"]]["DESCRIPTION"],
                **{k: v for k, v in loose.items() if v}}

    def data(self, rows):
        rows.sort(key=lambda r: (bool(r["HOLD"]), r["EXPDATE"] or datetime.datetime(9999, 1, 1), r["SKIDID"]))
        return data_set("LOCITEMS", [self.license_row(r) for r in rows], self.settings["utc_offset"])

    def stock(self, given):
        held, expired, picked = (self.boolean(given["ainclude" + n]) for n in ("qc", "exp", "picked"))
        kind, value = int(self.number(given["afieldtype"])), given["afieldvalue"]
        site, item = self.site(given), given["aitemid"].lower()
        return self.data([r for r in self.house.stock if r["SITE"] == site and r["ITEMID"].lower() == item
                          and (held or not r["HOLD"]) and (expired or not r["EXPDATE"] or r["EXPDATE"] >= TODAY)
                          and (picked or not r["ALLOCATED"]) and (not value or self.field(r, kind, value))])

    def field(self, row, kind, value):
        if kind == 4:
            return row["EXPDATE"] is not None and row["EXPDATE"] == self.day(value)
        names = {0: ("SKIDID", "CONTAINER"), 1: ("LOCATION",), 2: ("LOTID",), 3: ("ALT_LOTID",), 5: ("CONTAINER",),
                 6: ("PICK_ORDER",), 7: ("SERIAL",), 100: ("TYPE",)}.get(kind, ())
        return any(row[n].lower() == value.lower() for n in names)

    def order_stock(self, given):
        order = self.house.orders.get(given["aordernumber"])
        line = next((x for x in order["LINES"] if str(x["LINE_NUMBER"]) == given["alinenum"]), None) if order else None
        if line is None:
            return self.data([])
        return self.data([r for r in self.house.stock if r["ITEMID"] == line["ITEMID"] and not r["ALLOCATED"]
                          and (given["aincludeqc"] == "T" or not r["HOLD"])
                          and (given["aincludeexp"] == "T" or not r["EXPDATE"] or r["EXPDATE"] >= TODAY)])

    def find_license(self, given):
        site = self.site(given)
        for row in self.house.stock:
            if given["askidid"]:
                if row["SKIDID"].lower() == given["askidid"].lower():
                    return row if row["SITE"] == site and not row["ALLOCATED"] else None
            elif row["SITE"] == site and row["ITEMID"].lower() == given["aitemid"].lower() \
                    and row["LOCATION"].lower() == given["alocationid"].lower():
                return row
        return None

    def license(self, given):
        row = self.find_license(given)
        record = "null"
        if row:
            item = self.house.items[row["ITEMID"]]
            record = encode("InvType", {
                "SkidID": row["SKIDID"], "LotID": row["LOTID"], "WorkOrderID": "", "InvContainerID": row["CONTAINER"],
                "LocationID": row["LOCATION"], "ItemID": row["ITEMID"], "ItemDescription": item["DESCRIPTION"],
                "StockUOM": item["UOM"], "QAHold": bool(row["HOLD"]), "QAReason": row["HOLD"], "QtyTotal": row["QTY"],
                "QtyDualUnit": round(row["QTY"] * 2.2, 6) if item["DUAL"] else -1.0, "ExpireDate": row["EXPDATE"] or NEVER,
                "DateTimeProd": row["PRODUCED"], "successful": True, "ReturnMessage": ""})
        return encode("InvCountType", {"invRecord": Raw(record), "successful": True, "ReturnMessage": "", "qtyLbls": 1})

    def count_license(self, given):
        wanted = json.loads(given.get("DataMessage") or "{}")
        record = wanted.get("invRecord") or {}
        for row in self.house.stock:
            if row["SKIDID"] == record.get("SkidID"):
                row["QTY"] = float(wanted.get("NewQtyTotal") or 0)
                row["LOCATION"] = wanted.get("NewLocationID") or row["LOCATION"]
                return "OK"
        raise Failure("License not found.")

    def history(self, given):
        if given["askidid"]:
            found = self.house.history.get(given["askidid"].upper(), [])
        else:
            row = self.find_license(given)
            found = self.house.history.get(row["SKIDID"], []) if row else []
        if not found:
            found = [{"successful": False, "ReturnMessage": "No history found"}]
        return encode_all("InvHistoryType", found)

    def availability(self, given):
        item, wanted = given["aitemid"].upper(), self.number(given["aqty"])
        if item not in self.house.items:
            raise Failure("Item %s does not exist." % given["aitemid"])
        site = self.site(given)
        names = [item] + self.house.components.get(item, [])
        return encode_all("BOMAvailType", [self.available(site, n, wanted, n == item) for n in names])

    def available(self, site, name, wanted, parent):
        item = self.house.items[name]
        rows = [r for r in self.house.stock if r["SITE"] == site and r["ITEMID"] == name]
        total, held = sum(r["QTY"] for r in rows), sum(r["QTY"] for r in rows if r["HOLD"])
        picked = sum(r["ALLOCATED"] for r in rows)
        ordered = sum(x["ORDERED"] - x["PICKED"] for o in self.house.orders.values() if o["SITE"] == site
                      and o["STATUS"] in "NSB" for x in o["LINES"] if x["ITEMID"] == name)
        free = max(0.0, total - held - picked)
        return {"ItemID": name, "Description": item["DESCRIPTION"] if parent else name, "StockUOM": item["UOM"],
                "PurOrMfgFlag": "M" if item["MADE"] else "P", "QtyCanBuild": free if parent else free / 2,
                "QtyNeeded": wanted, "QtyTotal": total, "QtyPicked": picked, "QtyOnHold": held, "QtyHardAlloc": 0.0,
                "QtyRequired": ordered, "QtyScheduled": 0.0, "QtyAvail": free, "QtyNotReq": free - ordered,
                "QtyNotSched": free, "QtyOnOrder": ordered,
                "AvailStatus": "Available" if free >= wanted else "Not Available"}

    def counts(self, given):
        return json.dumps([{"CountNum": n, "Description": "Count %d" % n} for n in (1, 2)])

    def count_locations(self, given):
        for name in COUNTS[5:]:
            self.boolean(given[name])
        places, site = {}, self.site(given)
        for row in self.house.stock:
            if row["SITE"] == site and given["astartlocid"] <= row["LOCATION"] <= (given["aendlocid"] or "~") \
                    and given["astartitemid"] <= row["ITEMID"] <= (given["aenditemid"] or "~"):
                places.setdefault(row["LOCATION"], []).append(row)
        found = [{"LocationID": place, "Status": "Counted" if n % 2 else "Not Counted", "numSkids": len(rows),
                  "numVars": n % 2, "CountedDateTime": TODAY if n % 2 else NEVER,
                  "ReviewFlag": "Not Needed" if n % 2 else "Not Reviewed", "ReviewUserID": "", "successful": True,
                  "ReturnMessage": ""} for n, (place, rows) in enumerate(sorted(places.items()))
                 if self.boolean(given["aincludeloccounted" if n % 2 else "aincludelocuncounted"])]
        if given["acountnum"] not in ("1", "2"):
            raise Failure("Physical count %s not found." % given["acountnum"])
        return encode_all("PhysCountLocType", found)

    # -- docks and orders ------------------------------------------------------------------

    def dock(self, given):
        parts = given["aid"].split("|")
        if len(parts) < 4:
            raise Failure("Index was outside the bounds of the array.")
        _, site, dock, day = parts[:4]
        start = self.day(day)
        found = [a for a in self.house.appointments if a["SITE"] == site and a["Dock"].lower() == dock.lower()
                 and start <= a["Sched_Datetime"] <= start + datetime.timedelta(days=1) and a["PickStatus"] not in "CXQ"]
        if not found:
            raise Failure("No scheduled records found.")
        found.sort(key=lambda a: a["Sched_Datetime"])
        return encode_all("DockType", [self.appointment(a) for a in found])

    def colours(self):
        return {"FGStatusColor": "0,0,0", "BGStatusColor": "255,255,255", "FGOrderTypeColor": "0,0,0",
                "BGOrderTypeColor": "192,220,192"}

    def appointment(self, row):
        name = self.house.customers.get(row["CustID"], {"NAME": "Vendor " + row["CustID"]})["NAME"]
        words = PO_STATUS if row["OrderType"] == "P" else STATUS
        return dict({k: v for k, v in row.items() if k != "SITE"}, OrderTypeDesc=TYPES.get(row["OrderType"], ""),
                    CustName=name, CustIDAndName="%s - %s" % (row["CustID"], name),
                    PickStatus_Description=words.get(row["PickStatus"], ""), Percent_Complete=0.0,
                    requiredShipDate=row["Sched_Datetime"] + datetime.timedelta(days=1), ReturnMessage="",
                    newSched_Datetime=NEVER, **self.colours())

    def appoint(self, given):
        wanted = json.loads(given.get("DataMessage") or "{}")
        for row in self.house.appointments:
            if row["SchedID"] == wanted.get("SchedID"):
                row["Dock"] = wanted.get("newDock") or row["Dock"]
                return "OK"
        raise Failure("Schedule not found.")

    def status_row(self, order):
        client = self.house.customers.get(order["CUST_ID"], {"NAME": ""})
        done, all_ = sum(x["PICKED"] for x in order["LINES"]), sum(x["ORDERED"] for x in order["LINES"])
        return dict({"OrderNumber": order["ORDERNUMBER"], "SchedID": "", "OrderType": order["TYPE"],
                     "OrderTypeDesc": TYPES.get(order["TYPE"], ""), "CustID": order["CUST_ID"], "CustName": client["NAME"],
                     "CustIDAndName": "%s - %s" % (order["CUST_ID"], client["NAME"]), "Dock": order["DOCK"],
                     "CarrierID": order["CARRIER"], "PickStatus": order["STATUS"],
                     "PickStatus_Description": STATUS[order["STATUS"]], "Sched_Datetime": order["SCHEDULED"],
                     "requiredShipDate": order["REQUIRED"], "Duration": order["DURATION"],
                     "Percent_Complete": round(100 * done / all_, 2) if all_ else 0.0, "ReturnMessage": ""},
                    **self.colours())

    def chosen(self, given, day):
        states = [s for s in given["astatuslist"].split(",") if s]
        docks = given["adockrange"].split("|") if given["adockrange"] else []
        field = {"0": "SCHEDULED", "1": "REQUIRED", "2": "SCHEDULED"}.get(given["adatefield"])
        if field is None:
            raise Failure("Incorrect syntax near the keyword 'ORDER'.")
        return [o for o in self.house.orders.values() if o["SITE"] == self.site(given)
                and (not states or o["STATUS"] in states)
                and (not docks or docks[0] <= o["DOCK"] <= docks[-1])
                and self.within(o[field], day, given["adatefilter"])]

    def within(self, moment, day, kind):
        next_day, far = day + datetime.timedelta(days=1), day + datetime.timedelta(days=2)
        before = day - datetime.timedelta(days=1)
        return {"0": True, "1": day <= moment < next_day, "2": before <= moment < day, "3": moment < next_day,
                "4": moment < day, "5": next_day <= moment < far, "6": moment >= day, "7": moment >= next_day}.get(kind, False)

    def order_status(self, given):
        day = self.day(given["adate"]) if given["adate"] and given["adatefilter"] != "0" else TODAY
        found = sorted(self.chosen(given, day), key=lambda o: (o["STATUS"], o["ORDERNUMBER"]))
        if not found:
            raise Failure("No records found")
        return encode_all("DockType", [self.status_row(o) for o in found])

    def status_summary(self, given):
        groups = {}
        for order in self.chosen(given, TODAY):
            groups.setdefault(order["STATUS"], []).append(order)
        if not groups:
            raise Failure("No records found")
        return encode_all("COSMType", [{
            "StatusID": s, "StatusDesc": STATUS[s], "numOrders": len(found),
            "QtyTotal": sum(x["ORDERED"] for o in found for x in o["LINES"]),
            "QtyCompleted": sum(x["PICKED"] for o in found for x in o["LINES"]),
            "QtyLeft": sum(x["PICKED"] for o in found for x in o["LINES"] if s in "LG")} for s, found in sorted(groups.items())])

    def order_info(self, order):
        row = self.status_row(order)
        lines = [{"LINENUMBER": x["LINE_NUMBER"], "ITEMID": x["ITEMID"],
                  "DESCRIPTION": self.house.items[x["ITEMID"]]["DESCRIPTION"], "QTYORDERED": x["ORDERED"],
                  "QTYPICKED": x["PICKED"], "QTYLOADED": x["PICKED"] if order["STATUS"] in "LGC" else 0.0,
                  "ORDERFILLED": "T" if x["PICKED"] >= x["ORDERED"] else "O", "PICK_LOCATION": "A-01-01", "PCE_TYPE": "E"}
                 for x in order["LINES"]]
        row.update(TrailerID=order["TRAILER"], TruckAvail="F", PickToLocID="STAGE1", SchedPickerID="",
                   fNeedSignature=False, DetailXMLInfo=data_set("ORDRDET", lines, self.settings["utc_offset"]))
        return row

    def order(self, given):
        order = self.house.orders.get(given["aordernumber"])
        if order is None or order["SITE"] != self.site(given):
            raise Failure("No record found for order %s" % given["aordernumber"])
        if order["STATUS"] in "CX":
            raise Failure("Order %s has been %s." % (order["ORDERNUMBER"], STATUS[order["STATUS"]].lower()))
        return encode("CustOrderInfoType", self.order_info(order))

    def orders(self, given):
        kind, value = given["afiltertype"], given["afilterdata"]
        column = {"1": "CARRIER", "2": "DOCK", "3": "STATUS", "4": "TRAILER", "5": "TYPE"}.get(kind)
        found = []
        for order in self.house.orders.values():
            client = self.house.customers.get(order["CUST_ID"], {"NAME": ""})
            if order["CREATED_BY"].lower() != given["auserid"].lower() or order["SITE"] != self.site(given) \
                    or order["STATUS"] in "CX" and kind != "3":
                continue
            if given["acustdata"] and not (order["CUST_ID"].lower() == given["acustdata"].lower()
                                           if given["acustfiltertype"] in "01"
                                           else client["NAME"].lower().startswith(given["acustdata"].lower())):
                continue
            if value and (order[column].lower() != value.lower() if column else
                          order["REQUIRED" if kind == "0" else "CREATED"].date() != self.day(value).date()):
                continue
            found.append(order)
        if not found:
            raise Failure("No Orders found")
        return encode_all("CustOrderInfoType", [self.order_info(o) for o in found])

    def order_schedule(self, given):
        order = self.house.orders.get(given["aordernumber"])
        if order is None or order["SITE"] != self.site(given):
            raise Failure("No record found for order %s" % given["aordernumber"])
        items = [{"ItemID": x["ITEMID"], "Description": self.house.items[x["ITEMID"]]["DESCRIPTION"],
                  "qtyOnOrder": x["ORDERED"], "qtyAssigned": x["PICKED"], "qtyFilled": x["PICKED"],
                  "qtyNeeded": x["ORDERED"] - x["PICKED"], "StockUOM": "EA"} for x in order["LINES"]]
        notes = [{"noteTypeDesc": "Delivery", "noteType": "D", "seqNum": 1, "note": order["REMARK"]}] if order["REMARK"] else []
        when, here = order["SCHEDULED"], order["STATUS"] in "LGC"
        return encode("COSchedInfoType", {
            "OrderType": order["TYPE"], "OrderNumber": order["ORDERNUMBER"], "CurrStatus": order["STATUS"],
            "CurrStatusDesc": STATUS[order["STATUS"]], "PickStatus": order["STATUS"], "CurrSchedDateTime": when,
            "SchedDateTime": when, "Priority": "50", "AllowShortShip": True, "TrailerID": order["TRAILER"],
            "TrailerType": "VAN", "Dock": order["DOCK"], "EstDuration": 45, "Duration": order["DURATION"],
            "CarrierID": order["CARRIER"], "ApptDateTime": when, "PickToLocID": "STAGE1",
            "ArrivalDateTime": when if here else NEVER, "AtDoorDateTime": when + datetime.timedelta(minutes=20) if here else NEVER,
            "SchedDepartDateTime": when + datetime.timedelta(hours=2) if here else NEVER,
            "noteList": Raw(encode_all("NoteType", notes)), "shipmentItemsList": Raw(encode_all("COSchedItemsType", items))})

    def schedule_order(self, given):
        wanted = json.loads(given.get("DataMessage") or "{}")
        order = self.house.orders.get(wanted.get("OrderNumber"))
        if order is None:
            raise Failure("No record found for order %s" % wanted.get("OrderNumber"))
        order["DOCK"] = wanted.get("Dock") or order["DOCK"]
        return "OK"

    def containers(self, given):
        kind, site = given["acntrtype"], self.site(given)
        orders = [o for o in self.house.orders.values() if o["SITE"] == site
                  and (not given["aordernumber"] or o["ORDERNUMBER"].lower() == given["aordernumber"].lower())]
        found = []
        if kind == "V":
            found = [(o, o["TRAILER"], "SHP%s" % o["ORDERNUMBER"][-4:], "Loading") for o in orders if o["STATUS"] in "SBLG"]
        elif kind == "T":
            found = [(o, "TOTE%s-%d" % (o["ORDERNUMBER"][-3:], k), "ASNC%s" % o["ORDERNUMBER"][-3:], "Standard")
                     for o in orders if o["STATUS"] in "BLG" for k in range(2)]
        elif kind == "P":
            sent = {o["ORDERNUMBER"]: o for o in orders}
            found = [(sent[p.row["ORDERNUMBER"]], p.row["PARCEL_NUMBER"], "", "OK") for p in self.house.parcels
                     if p.type == "parcel" and p.row["ORDERNUMBER"] in sent]
        wanted = given["acontainerid"].lower()
        found = [x for x in found if not wanted or x[1].lower() == wanted]
        if not found:
            raise Failure("No records found")
        return encode_all("OrderContainerLookupInfo", [
            {"successful": True, "ReturnMessage": "", "OrderNumber": o["ORDERNUMBER"], "ContainerID": box,
             "ASNContainerID": outer, "OrderStatusDesc": STATUS[o["STATUS"]], "ContainerStatusDesc": state,
             "CreateDate": o["CREATED"], "CreateUserID": "SHIP1"} for o, box, outer, state in found])

    def new_trailer(self, given):
        return "OK"

    # -- purchases, production, replenishment ---------------------------------------------------

    def purchase_row(self, row):
        share = 100 * row["RECEIVED"] / row["ORDERED"] if row["ORDERED"] else 0.0
        return {"OrderType": "P", "PONumber": row["PONUMBER"], "ReleaseNum": row["RELEASENUM"],
                "ReceiverID": row["RECEIVER"], "VendorID": row["VENDORID"], "VendorName": "Vendor " + row["VENDORID"],
                "ExpectedDate": "" if row["EXPECTED"] == NEVER else row["EXPECTED"].strftime("%m/%d/%Y"),
                "Status": row["STATUS"], "Status_Description": PO_STATUS[row["STATUS"]],
                "Percent_Complete": round(share, 2), "ShipVia": "", "CarrierID": "LTL1", "TrailerNum": "", "ProNum": ""}

    def of_site(self, site):
        return [p for p in self.house.purchases.values() if p["SITE"] == site]

    def inputs(self, given):
        words = given.get("inputDataList")
        if not isinstance(words, list) or len(words) < 3:
            raise Failure("Index was out of range. Must be non-negative and less than the size of the collection.")
        return [str(w or "") for w in words]

    def purchase_status(self, given):
        status, _, date = self.inputs(given)[:3]
        if date not in ("", "0"):
            raise Failure("An aggregate may not appear in the WHERE clause unless it is in a subquery.")
        return encode_all("ConfReceiptType", [self.purchase_row(p) for p in self.of_site(given.get("SiteID"))
                                              if not status or p["STATUS"] == status])

    def purchase_summary(self, given):
        wanted = self.inputs(given)[0]
        groups = {}
        for row in self.of_site(given.get("SiteID")):
            if not wanted or (row["STATUS"] in "OL") == (wanted == "O"):
                groups.setdefault(row["STATUS"], []).append(row)
        return encode_all("COSMType", [{
            "StatusID": s, "StatusDesc": PO_STATUS[s], "numOrders": len(found), "QtyTotal": sum(p["ORDERED"] for p in found),
            "QtyCompleted": sum(p["RECEIVED"] for p in found),
            "QtyLeft": sum(p["ORDERED"] - p["RECEIVED"] for p in found)} for s, found in sorted(groups.items())])

    def purchases(self, given):
        found = [p for p in self.of_site(self.site(given))
                 if not given["avendordata"] or p["VENDORID"].lower() == given["avendordata"].lower()]
        if not found:
            raise Failure("No Purchase Orders found")
        return encode_all("ConfReceiptType", [self.purchase_row(p) for p in found])

    def purchase(self, given):
        row = self.house.purchases.get(given["aponumber"])
        if row is None:
            raise Failure("No Purchase Orders found")
        return encode("ConfReceiptType", self.purchase_row(row))

    def work_row(self, row):
        item = self.house.items[row["Prod_ItemID"]]
        return dict({k: v for k, v in row.items() if k != "SITE"}, Description=item["DESCRIPTION"], UOM=item["UOM"],
                    Status_Description=WORK_STATUS[row["Status"]], SchedDate=row["Sched_Datetime"].replace(hour=0),
                    SchedTime=row["Sched_Datetime"], Duration=90, ReturnMessage="", numSkidsMade=2,
                    Percent_Complete=round(100 * row["QtyMade"] / row["QtyToMake"], 2), DateNeeded=TODAY, ExpDate=NEVER)

    def work_orders(self, given):
        day = self.day(given["adate"]) if given["adate"] else None
        found = [w for w in self.house.work_orders if w["SITE"] == self.site(given)
                 and (not given["aprodline"] or w["Prodline"].lower() == given["aprodline"].lower())
                 and (day is None or w["Sched_Datetime"].date() == day.date())]
        if not found:
            raise Failure("No Work Orders found")
        return encode_all("WOHdrType", [self.work_row(w) for w in found])

    def work_order(self, given):
        for row in self.house.work_orders:
            if row["Workorder_ID"] == given["aworkorder"]:
                return encode("WOHdrType", self.work_row(row))
        raise Failure("No Work Orders found")

    def work_status(self, given):
        states = [s for s in given["astatuslist"].split(",") if s]
        lines = [x for x in re.split(r"[|-]", given["aprodlinerange"]) if x]
        found = [w for w in self.house.work_orders if w["SITE"] == self.site(given)
                 and (not states or w["Status"] in states) and (not lines or lines[0] <= w["Prodline"] <= lines[-1])
                 and self.within(w["Sched_Datetime"], TODAY, given["adatefilter"])]
        if not found:
            raise Failure("No Work Orders found")
        if self.boolean(given["abywo"]):
            return encode_all("WOHdrType", [self.work_row(w) for w in found])
        groups = {}
        for row in found:
            groups.setdefault(row["Status"], []).append(row)
        return encode_all("COSMType", [{
            "StatusID": s, "StatusDesc": WORK_STATUS[s], "numOrders": len(rows), "QtyTotal": sum(w["QtyToMake"] for w in rows),
            "QtyCompleted": sum(w["QtyMade"] for w in rows),
            "QtyLeft": sum(w["QtyToMake"] - w["QtyMade"] for w in rows)} for s, rows in sorted(groups.items())])

    def zones(self, given):
        text = given["azoneid"]
        match = re.fullmatch(r"(\w+)-(\w+)", text)
        for zone, places in self.house.zones.items():
            if not text or zone in text.split(",") or match and match.group(1) <= zone <= match.group(2):
                yield zone, places

    def short(self, place, kind):
        """How much a forward location needs."""
        need = {"S": place["Scheduled"] - place["Quantity"], "O": place["Ordered"] - place["Quantity"]}.get(kind)
        if need is None:
            need = place["RestockQty"] - place["Quantity"] if place["Quantity"] < place["RestockPoint"] else 0
        return max(0.0, need)

    def replenish(self, given):
        kind = given["areplenfiltertype"]
        return encode_all("ReplenLocType", [
            {"LocationID": p["LocationID"], "LocationDesc": "Forward " + p["LocationID"], "RestockPoint": p["RestockPoint"],
             "RestockQty": p["RestockQty"], "QtyToPick": self.short(p, kind), "ItemID": None, "ItemDesc": None,
             "PickLocID": None} for _, places in self.zones(given) for p in places if self.short(p, kind) > 0])

    def replenish_summary(self, given):
        kind = given["areplenfiltertype"]
        return encode_all("ReplenSummType", [
            {"ZoneID": zone, "ZoneDesc": "Zone " + zone, "LocTotal": len(places),
             "LocShort": sum(1 for p in places if self.short(p, kind) > 0),
             "QtyShort": sum(self.short(p, kind) for p in places)} for zone, places in self.zones(given)])

    # -- trailers, sessions ------------------------------------------------------------------------

    def field_entry(self, shape, label, value):
        row = {"DisplayLabel": label, "EntryFlag": "T", "OrigValue": value, "newValue": value, "Visible": True}
        if shape == "FieldEntry":
            row["FieldName"] = label
        return Raw(encode(shape, row))

    def inspection(self, given):
        weight = self.number(given["atrailerweight"])
        self.boolean(given["aoverride"])
        order = self.house.orders.get(given["aordernum"])
        if order is None:
            return encode("TrailerInspectionHeader", {"fSuccessful": False, "ErrorMessage": "No order found"})
        questions = [{"inspectIdx": n + 1, "fPrompt": text, "fType": "Y", "fReqFlag": True,
                      "AnswerList": Raw('["Yes","No"]'), "isAnswerList": True, "fAnswer": "Yes", "IsAnswer1": True}
                     for n, text in enumerate(("Floor dry?", "Doors close?", "Lights work?"))]
        return encode("TrailerInspectionHeader", {
            "fSuccessful": True, "ErrorMessage": "", "WarningMessage": "", "fInspectType": "O", "fInspectSetupID": "STD",
            "fIDTYPE": given["aordertype"], "ShipmentID": "SHP" + order["ORDERNUMBER"][-4:], "InspectionID": "INS1",
            "TrailerNum": self.field_entry("FieldEntry", "Trailer", given["atrailernum"] or order["TRAILER"]),
            "TrailerType": self.field_entry("FieldEntry", "Type", given["atrailertype"] or "VAN"),
            "LoadingBay": self.field_entry("FieldEntry", "Bay", order["DOCK"]),
            "TareWeight": self.field_entry("FieldEntryDouble", "Tare", weight),
            "myList": Raw(encode_all("TrailerInspectionDetail", questions)), "myImageList": Raw("[]")})

    def logon(self, given):
        self.slots += 1
        pairs = {
            "lookupDockList": [("D%02d" % n, "Dock %d" % n) for n in range(1, 5)], "lookupLoadLocList": [("STAGE1", "Stage 1")],
            "lookupTruckLocList": [("TRUCK1", "Truck 1")], "lookupCarrierList": [("UPSG", "UPS Ground"), ("FEDX", "FedEx")],
            "lookupVendorList": [(v, "Vendor " + v) for v in self.house.vendors],
            "lookupWhseList": [("W1", "Main")], "lookupProdlineList": [("LINE%d" % n, "Line %d" % n) for n in (1, 2, 3)],
            "poStatusList": list(PO_STATUS.items()), "coStatusList": list(STATUS.items()),
            "woStatusList": list(WORK_STATUS.items()), "pickStatusList": list(STATUS.items())}
        user = str(given.get("UserID") or "")
        body = {"ReturnMessage": "OK" if user else "ER Invalid user", "SiteID": next(iter(SITES)), "HHCid": "HH%d" % self.slots,
                "UnitID": "U1", "ConnectionID": "C%d" % self.slots, "UserRights": "", "languageIndex": 0, "menuList": []}
        if user:
            body.update({name: [{"ID": a, "Description": b} for a, b in rows] for name, rows in pairs.items()})
        return Answer(200, {"Content-Type": JSON}, json.dumps(body, ensure_ascii=False))

    def logoff(self, given):
        self.slots = max(0, self.slots - 1)
        return "OK"
