#!/usr/bin/python3
"""Tests of the simulator of ASCTrac: its two services, its queues, its imports, its troubles.

    /usr/bin/python3 test/sim/asctrac/test_sim.py
"""

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from client import Client       # noqa: E402

AUDIT = "/api/InventoryAudit?aVMICustID=%s&aSiteID=%s&aItemID=%s"
QUERIES = {
    "TranFileExport": "?aCustID=&aExcludeTrantype=", "POLinesExport": "?aOnlySendCompletedReceipt=false",
    "POLicensesExport": "?aOnlySendCompletedReceipt=false", "CustOrderExport": "?aCustID=",
    "CustOrderStatusExport": "?aCustID=", "ParcelExport": "?aCustID=", "WCSPicks": "?aOrderType="}
EMPTY = {"ReturnCode": 200, "ReturnCodeDescription": "OK", "Status": "Success", "Message": "No Records Found"}
DONE = dict(EMPTY, Message="SUCCESSFULLY PROCESSED")
NULL = "Object reference not set to an instance of an object."


def start(*more):
    folder = tempfile.mkdtemp(prefix="makini-test-")
    process = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "sim.py"), "--dir", folder] + list(more),
                               stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"ready"), "the simulator did not start"
    return folder, process


def stop(folder, process):
    process.terminate()
    process.wait(30)
    process.stdout.close()
    shutil.rmtree(folder)


def setUpModule():
    Case.folder, Case.process = start()
    Case.client = Client(Case.folder)


def tearDownModule():
    stop(Case.folder, Case.process)


class Case(unittest.TestCase):
    folder = process = client = None

    def setUp(self):
        self.client.control("POST", "/reset", {})

    def feed(self, name, **more):
        return self.client.get("/api/" + name + QUERIES[name], **more)

    def rows(self, name):
        reply = self.feed(name)
        self.assertEqual(reply.status, 200, reply.body[:300])
        return reply.json()

    def put(self, name, body):
        return self.client.put("/api/" + name, body)

    def set(self, **settings):
        self.client.control("POST", "/setting", settings)

    def counts(self, name):
        return self.client.control("GET", "/feed")[name]

    def fault(self, **members):
        return self.client.control("POST", "/fault", members)

    def last(self):
        return self.client.control("GET", "/log?limit=1")[-1]


class Routing(Case):
    def test_paths_and_names_ignore_case(self):
        for target in ("/API/inventoryaudit/?AVMICUSTID=&asiteid=&AItemID=", AUDIT % ("", "", "")):
            reply = self.client.get(target)
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "text/plain; charset=utf-8"))
            self.assertIsInstance(reply.json(), list)

    def test_missing_names(self):
        reply = self.client.get("/api/InventoryAudit?aVMICustID=&aSiteID=")
        self.assertEqual(reply.status, 404)
        self.assertTrue(reply.message.startswith("No HTTP resource was found that matches the request URI 'https://"))
        self.assertEqual(self.client.get("/api/WCSPicks").status, 404)
        self.assertEqual(self.client.put("/api/CustOrderShipImport", b"").status, 404)
        for name in list(QUERIES)[:-1]:
            reply = self.client.get("/api/" + name)
            self.assertEqual((reply.status, reply.json()), (400, {"Message": NULL}), name)
            self.assertEqual(self.counts(name)["S"], 0)

    def test_wrong_things(self):
        self.assertEqual(self.client.get("/api/Nothing").status, 404)
        reply = self.client.request("url", "DELETE", "/api/TranFileExport")
        self.assertEqual((reply.status, reply.message, reply.headers["Allow"]), (
            405, "The requested resource does not support http method 'DELETE'.", "GET,PUT"))
        self.assertEqual(self.client.put("/api/TranFileExport", b"[]", headers={"Content-Type": "text/csv"}).status, 415)
        reply = self.client.get("/api/POLinesExport?aOnlySendCompletedReceipt=yes")
        self.assertEqual((reply.status, reply.message), (400, "The request is invalid."))
        self.assertNotIn("MessageDetail", self.client.get("/api/Nothing").json())
        self.set(error_detail=True)
        self.assertIn("MessageDetail", self.client.get("/api/Nothing").json())

    def test_xml_where_it_is_asked_for(self):
        self.client.control("POST", "/flag", {"feed": "TranFileExport", "flag": "T"})
        reply = self.feed("TranFileExport", headers={"Accept": "application/xml"})
        self.assertIn(b"<Message>No Records Found</Message>", reply.body)

    def test_large_bodies(self):
        body = json.dumps([{"TRANFILE_REC_ID": 1, "ERROR_MESSAGE": "x" * (4 * 1024 * 1024)}])
        reply = self.put("TranFileExport", body)
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (500, "text/html"))

    def test_values(self):
        self.assertEqual(self.client.get("/api/Values", token=False).json(), ["value1", "value2"])


class Tokens(Case):
    def test_bearer(self):
        for token in (False, "nonsense"):
            reply = self.feed("TranFileExport", token=token)
            self.assertEqual((reply.status, reply.body, reply.headers["WWW-Authenticate"]),
                             (401, b"", 'Bearer realm="localhost"'))
        reply = self.feed("TranFileExport", headers={"Authorization": "bearer " + self.client.sim["token"]})
        self.assertEqual(reply.status, 401)
        self.assertEqual(self.counts("TranFileExport")["S"], 0, "401 comes before the action")
        self.set(authentication=False)
        self.assertEqual(self.feed("TranFileExport", token="nonsense").status, 200)

    def test_service(self):
        sim = self.client.sim
        body = {"client_id": sim["client_id"], "client_secret": sim["client_secret"], "resource": sim["url"]}
        for path in ("/api/Authorize", "/ASCTracAuthAPI/api/Authorize"):
            found = self.client.post(path, body, token=False).json()
            self.assertEqual(set(found), {"token_type", "expires_in", "ext_expires_in", "expires_on", "not_before",
                                          "resource", "access_token"})
            self.assertTrue(all(isinstance(v, str) for v in found.values()))
            self.assertEqual(self.client.get(AUDIT % ("", "", ""), token=found["access_token"]).status, 200)
        self.client.control("POST", "/token", {})
        self.assertEqual(self.client.get(AUDIT % ("", "", ""), token=found["access_token"]).status, 401)
        self.assertEqual(self.client.get(AUDIT % ("", "", "")).status, 200, "the lasting token stays")
        self.assertEqual(self.client.post("/api/Authorize", dict(body, client_secret="no"), token=False).status, 401)

    def test_base64(self):
        self.set(token_encoding="base64")
        self.assertEqual(self.client.get(AUDIT % ("", "", "")).status, 401)
        token = base64.b64encode(self.client.sim["token"].encode()).decode()
        self.assertEqual(self.client.get(AUDIT % ("", "", ""), token=token).status, 200)


class Audit(Case):
    def test_rows(self):
        reply = self.client.get(AUDIT % ("", "", ""))
        rows = reply.json()
        self.assertGreater(len(rows), 150)
        self.assertEqual({r["FACILITY"] for r in rows}, {"DAY1", "CIN2"}, "a site without a host code is not exported")
        self.assertTrue(any(r["EXPDATE"] == "0001-01-01T00:00:00" for r in rows))
        self.assertTrue(any(r["EXPDATE"] == "1900-01-01T00:00:00" and r["QUANTITY"] == 0 for r in rows))
        self.assertRegex(rows[0]["DATE_TIME"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}-05:00$")
        self.assertRegex(reply.body.decode(), r'"QUANTITY":\d+\.\d+,')
        self.assertTrue(all(r["LOTID"] == "" for r in rows))
        self.set(lots_in_audit=True)
        self.assertTrue(any(r["LOTID"] for r in self.client.get(AUDIT % ("", "", "")).json()))

    def test_filters(self):
        rows = self.client.get(AUDIT % ("", "", "")).json()
        item = rows[3]["PRODUCT_CODE"]
        self.assertEqual({r["PRODUCT_CODE"] for r in self.client.get(AUDIT % ("", "", item.lower())).json()}, {item})
        self.assertEqual({r["FACILITY"] for r in self.client.get(AUDIT % ("", "2", "")).json()}, {"CIN2"})
        self.assertEqual({r["VMI_CUSTID"] for r in self.client.get(AUDIT % ("C1007", "", "")).json()}, {"C1007"})
        self.assertEqual(self.client.get(AUDIT % ("", "", "nothing")).json(), EMPTY)

    def test_zero_stock(self):
        zero = next(r for r in self.client.get(AUDIT % ("", "", "")).json() if r["EXPDATE"].startswith("1900"))
        target = AUDIT % ("", "1", zero["PRODUCT_CODE"])
        self.assertEqual(len(self.client.get(target).json()), 1)
        self.set(zeros_in_audit=False)
        self.assertEqual(self.client.get(target).json(), [])

    def test_it_marks_nothing(self):
        before = self.client.control("GET", "/feed")
        self.client.get(AUDIT % ("", "", ""))
        self.assertEqual(self.client.control("GET", "/feed"), before)


class Feeds(Case):
    def test_consume(self):
        for name in QUERIES:
            if name in ("ParcelExport", "POLicensesExport"):
                continue
            before = self.counts(name)
            rows = self.rows(name)
            self.assertIsInstance(rows, list, name)
            self.assertGreater(len(rows), 10)
            if name != "WCSPicks":
                self.assertGreater(before["F"], self.counts(name)["F"])
                self.assertEqual(self.rows(name), EMPTY, name)
            else:
                self.assertEqual((self.feed(name).status, self.feed(name).body), (204, b""))

    def test_again_where_the_setting_says_so(self):
        self.set(include_processing=True)
        first, second = self.rows("TranFileExport"), self.rows("TranFileExport")
        self.assertEqual(first, second)

    def test_acknowledge_movements(self):
        rows = self.rows("TranFileExport")
        ids = [r["TRANFILE_REC_ID"] for r in rows]
        self.assertEqual(self.put("TranFileExport", [
            {"TRANFILE_REC_ID": ids[0]}, {"TRANFILE_REC_ID": ids[1], "SUCCESSFUL": False, "ERROR_MESSAGE": "why"},
            {"TRANFILE_REC_ID": 5}]).json(), DONE)
        state = {r["id"]: r for r in self.client.control("GET", "/feed/TranFileExport")["rows"]}
        self.assertEqual((state[ids[0]]["flag"], state[ids[1]]["flag"], state[ids[1]]["message"], state[ids[2]]["flag"]),
                         ("T", "E", "why", "S"))
        self.put("TranFileExport", [{"TRANFILE_REC_ID": ids[1]}])
        self.assertEqual(self.counts("TranFileExport")["E"], 1, "E is final")
        self.assertEqual(self.put("TranFileExport", []).json(), DONE)
        for body in (b"", b"null", [{"TRANFILE_REC_ID": ids[2], "ERROR_MESSAGE": None}]):
            reply = self.put("TranFileExport", body)
            self.assertEqual((reply.status, reply.json()["Status"], reply.message), (400, "ERROR", NULL))
        self.assertEqual(self.counts("TranFileExport")["S"], len(ids) - 2)

    def test_acknowledge_before_reading(self):
        first = self.client.control("GET", "/feed/TranFileExport")["rows"][0]
        self.assertEqual(self.put("TranFileExport", [{"TRANFILE_REC_ID": first["id"]}]).json(), DONE)
        self.assertEqual(self.counts("TranFileExport")["T"], 0)

    def test_receipts_share_their_flags(self):
        total = sum(self.counts("POLicensesExport").values())
        lines = self.rows("POLinesExport")
        self.assertLess(len(lines), total, "receipts are grouped")
        self.assertEqual(self.rows("POLicensesExport"), EMPTY)
        self.assertEqual(len({r["ID"] for r in lines}), len(lines))
        row = next(r for r in lines if "'" not in r["PONUMBER"])
        self.put("POLinesExport", [row])
        self.assertGreater(self.counts("POLinesExport")["T"], 0)
        self.assertEqual(self.counts("POLicensesExport"), self.counts("POLinesExport"))

    def test_asn_receipts_come_back_for_ever(self):
        rows = self.rows("POLicensesExport")
        again = self.rows("POLicensesExport")
        self.assertGreater(len(rows), len(again))
        self.assertTrue(again and not any(r["ORDERNUMBER"].startswith("ASN-") for r in again))
        self.put("POLicensesExport", again)
        self.assertEqual(len(self.rows("POLicensesExport")), len(again))
        self.assertEqual(self.counts("POLicensesExport")["T"], 0)

    def test_completed_receipts(self):
        some = self.client.get("/api/POLinesExport?aOnlySendCompletedReceipt=TRUE").json()
        rest = self.rows("POLinesExport")
        self.assertTrue(some and rest)

    def test_apostrophe_breaks_the_batch(self):
        rows = self.rows("POLinesExport")
        bad = next(r for r in rows if "'" in r["PONUMBER"])
        good = next(r for r in rows if "'" not in r["PONUMBER"])
        reply = self.put("POLinesExport", [good, bad])
        self.assertEqual(reply.status, 400)
        self.assertIn("Unclosed quotation mark", reply.message)
        self.assertEqual(self.counts("POLinesExport")["T"], 0)
        self.assertEqual(self.put("POLinesExport", [good]).status, 200)

    def test_orders(self):
        rows = self.rows("CustOrderExport")
        self.assertTrue(all(isinstance(r[n], list) for r in rows for n in ("PicksList", "ContainersList", "SerialsList")))
        self.assertTrue(any(p["QTY_SHIPPED"] == "NaN" for r in rows for p in r["PicksList"]))
        twice = [r["ORDERNUMBER"] for r in rows]
        number = next(n for n in twice if twice.count(n) > 1)
        self.put("CustOrderExport", [{"ORDERNUMBER": number}])
        flags = [r["flag"] for r in self.client.control("GET", "/feed/CustOrderExport")["rows"]
                 if r["key"] == [number] and r["type"] == "CS"]
        self.assertEqual(flags, ["T", "T"], "one acknowledgement for the whole order")

    def test_status_has_a_flag_of_its_own(self):
        self.rows("CustOrderExport")
        rows = self.rows("CustOrderStatusExport")
        self.assertEqual({r["ORDER_TYPE"] for r in rows}, {"C", "R"})
        self.assertRegex(rows[0]["CREATE_DATETIME"], r"\.\d{7}-05:00$")

    def test_bodies_of_a_get(self):
        kind = {"Content-Type": "application/json"}
        some = self.client.get("/api/CustOrderExport", body={"aCustID": "", "MaxRecords": 2}, headers=kind).json()
        self.assertEqual((len(some), self.counts("CustOrderExport")["S"]), (2, 2))
        packed = self.client.get("/api/CustOrderExport", body={"aExportShipmentType": "P"}).json()
        self.assertTrue(packed and packed[0]["FREIGHT_COST"] == 0)
        # the names that the help page shows are not the ones that count
        self.assertGreater(len(self.client.get("/api/CustOrderExport", body={"CustID": "C1001"}).json()), 5)
        for name in ("TranFileExport", "POLinesExport"):
            reply = self.client.get("/api/" + name, body={"ExportFilterList": [{"afieldname": "SKIDID"}]})
            self.assertEqual((reply.status, reply.message), (400, "Incorrect syntax near the keyword 'AND'."))
        self.assertEqual(self.client.get("/api/CustOrderExport", body={"ExportFilterList": None}).message, NULL)

    def test_customers_and_associates(self):
        direct = self.client.get("/api/CustOrderStatusExport?aCustID=C1007").json()
        self.assertEqual({r["CUSTOMERID"] for r in direct}, {"C1007"})

    def test_parcels_never_end(self):
        rows = self.rows("ParcelExport")
        again = self.rows("ParcelExport")
        self.assertEqual(len(rows), len(again))
        self.assertEqual(self.put("ParcelExport", rows).status, 400, "an apostrophe among the orders")
        self.put("ParcelExport", [r for r in rows if "'" not in r["ORDERNUMBER"]])
        left = [r for r in self.rows("ParcelExport") if "'" not in r["ORDERNUMBER"]]
        self.assertTrue(left and all(r["PARCEL_NUMBER"].startswith("PRO") for r in left))
        self.assertIn("Successful", rows[0])
        self.set(trailer_input=False)
        self.assertEqual(self.feed("ParcelExport").status, 400)

    def test_old_versions(self):
        self.client.control("POST", "/flag", {"feed": "TranFileExport", "flag": "T"})
        for empty, status in ((204, 204), ("404", 404), ("object", 200)):
            self.set(empty=empty)
            self.assertEqual(self.feed("TranFileExport").status, status)

    def test_more_rows(self):
        self.rows("TranFileExport")
        made = self.client.control("POST", "/row", {"feed": "TranFileExport", "changes": {"LOTID": "NEW"}})
        rows = self.rows("TranFileExport")
        self.assertEqual([(r["TRANFILE_REC_ID"], r["LOTID"]) for r in rows], [(made["id"], "NEW")])

    def test_rows_in_bulk(self):
        for name in QUERIES:
            self.client.control("POST", "/reset", {})
            before = len(self.rows(name))
            self.client.control("POST", "/reset", {})
            self.client.control("POST", "/bulk", {"feed": name, "rows": 3000})
            rows = self.rows(name)
            self.assertEqual(len(rows), before + 3000, name)
            if name != "WCSPicks":
                self.put(name, rows[-10:])
                self.assertEqual(self.counts(name)["T"], 10, name)

    def test_picks(self):
        row = self.rows("WCSPicks")[0]
        self.assertEqual(self.client.post("/api/WCSPicks", dict(row, QTY_PICKED=3)).json(), DONE)
        reply = self.client.post("/api/WCSPicks", row)
        self.assertEqual((reply.status, reply.message), (400, "Pick status is C."))
        for path in ("WCSUnpick", "WCSRepick", "WCSCancel"):
            self.assertEqual(self.client.post("/api/" + path, row).status, 200, path)


class Imports(Case):
    ITEM = {"FACILITY": "DAY1", "PRODUCT_CODE": "new-1", "STATUS_FLAG": "A", "DESCRIPTION": "x" * 70, "STD_COST": 2.5}
    ORDER = {"FACILITY": "day1", "ORDERNUMBER": "T1", "STATUS_FLAG": "A", "ORDER_TYPE": "S", "DetailList": [
        {"LINE_NUMBER": 1, "PRODUCT_CODE": "NOPE", "QUANTITY": 1, "STATUS_FLAG": "A"}]}

    def post(self, name, body, status=200):
        reply = self.client.post("/api/" + name, body)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json()

    def reason(self, name, body):
        message = self.post(name, body, 400)["Message"]
        self.assertIn("\failed: ", message)
        self.assertTrue(message.startswith('HTTP Post on resource "https://localhost:'))
        return message.split("ailed: ", 1)[1]

    def stored(self, name):
        return self.client.control("GET", "/master/" + name)

    def test_items(self):
        self.assertEqual(self.post("ItemMasterImport", self.ITEM), DONE)
        self.assertEqual(self.post("ItemMasterImport", dict(self.ITEM, DESCRIPTION="", STD_COST=None)), DONE)
        row, = self.stored("item_master_import")
        self.assertEqual((row["PRODUCT_CODE"], row["DESCRIPTION"], row["STD_COST"]), ("NEW-1", "x" * 60, 0.0),
                         "empty text leaves, a missing number overwrites")
        self.assertEqual(self.reason("ItemMasterImport", dict(self.ITEM, FACILITY="X")),
                         "No Facility or Site defined for record.")
        self.assertEqual(self.reason("ItemMasterImport", dict(self.ITEM, STATUS_FLAG="")), "Invalid status flag")
        self.assertEqual(self.reason("ItemMasterImport", dict(self.ITEM, NotesList=None)), NULL)
        self.assertEqual(self.reason("ItemMasterImport", dict(self.ITEM, PRODUCT_CODE="y" * 31)),
                         "Value for Column ITEMID in table ITEMMSTR is too large.")
        self.assertEqual(self.reason("ItemMasterImport", b"null"), NULL)

    def test_customers_vendors_lots(self):
        self.assertEqual(self.post("CustomerMasterImport", {"FACILITY": "X", "CUST_ID": "N1", "STATUS_FLAG": ""}), DONE)
        self.assertEqual(self.reason("CustomerMasterImport", {"CUST_ID": "N1"}), NULL)
        self.assertEqual(self.post("VendorImport", {"VENDOR_CODE": "V9", "STATUS": "A"}), DONE)
        self.assertEqual(self.post("VendorImport", {"VENDOR_CODE": "V9", "STATUS": "D"}), DONE)
        self.assertEqual(self.stored("vendor_import"), [])
        self.assertEqual(self.reason("VendorImport", {"VENDOR_CODE": "V9"}), "Invalid Status")
        lot = {"PRODUCT_CODE": "a", "LOTID": "l1", "STD_COST": 1}
        self.assertEqual(self.post("LotImport", lot), DONE)
        self.assertEqual(self.stored("lot_import"), [], "without a facility nothing is inserted")
        self.post("LotImport", dict(lot, FACILITY="DAY1"))
        self.post("LotImport", dict(lot, STD_COST=7))
        self.assertEqual(self.stored("lot_import")[0]["STD_COST"], 7)
        self.assertEqual(self.reason("LotImport", dict(lot, FACILITY="Q")), "Site ID not found for Host Site ID: Q")

    def test_orders(self):
        self.post("ItemMasterImport", self.ITEM)
        lines = [dict(self.ORDER["DetailList"][0]), {"PRODUCT_CODE": "new-1", "QUANTITY": 2, "STATUS_FLAG": "A"}]
        found = self.post("CustOrderImport", dict(self.ORDER, DetailList=lines))
        self.assertEqual(found, {"ReturnCode": 412, "ReturnCodeDescription": "Accepted", "Status": "PARTIAL",
                                 "Message": "Customer Order: T1, Missing Items: NOPE"})
        row, = self.stored("cust_order_import")
        self.assertEqual([x["PRODUCT_CODE"] for x in row["DetailList"]], ["new-1"])
        self.assertEqual(self.reason("CustOrderImport", dict(self.ORDER, STATUS_FLAG=None)), "Invalid Status Flag")
        self.assertEqual(self.reason("CustOrderImport", dict(self.ORDER, DetailList=[{"PRODUCT_CODE": "NEW-1"}])), NULL)
        self.assertEqual(self.reason("CustOrderImport", dict(self.ORDER, DetailList=None)), NULL)
        self.assertEqual(self.reason("CustOrderImport", dict(self.ORDER, ORDER_TYPE=None)), NULL)
        self.assertEqual(self.post("CustOrderImport", dict(self.ORDER, STATUS_FLAG="C")), DONE)
        self.assertEqual(self.reason("CustOrderImport", self.ORDER), "Order T1 already Cancelled.")

    def test_purchases(self):
        order = {"FACILITY": "DAY1", "PONUMBER": "P1", "STATUS_FLAG": "A", "PODetList": [
            {"PRODUCT_CODE": "NOPE", "QUANTITY": 5}]}
        self.assertEqual(self.post("POImport", order), DONE, "skeleton items")
        self.set(po_missing_item=1)
        self.assertEqual(self.post("POImport", order)["ReturnCode"], 412)
        self.set(po_missing_item=0)
        self.assertEqual(self.reason("POImport", order), "Item NOPE not found.")
        self.assertEqual(self.reason("POImport", dict(order, PONUMBER="")), "PO Number value is required.")
        self.post("POImport", dict(order, STATUS_FLAG="C", PODetList=[]))
        self.assertEqual(self.reason("POImport", order), "Cannot update PO# P1: PO is already Completed.")

    def test_asn_loses_what_it_had(self):
        item = self.client.get(AUDIT % ("", "", "")).json()[0]["PRODUCT_CODE"]
        asn = {"FACILITY": "DAY1", "ASN": "A1", "DetailList": [{"ITEMID": item, "SKIDID": "NEW1", "QUANTITY": 1}]}
        self.assertEqual(self.post("ASNImport", asn), DONE)
        self.assertEqual(self.reason("ASNImport", dict(asn, DetailList=[{"ITEMID": "NOPE"}])), "")
        self.assertEqual(self.stored("asn_import")[0]["DetailList"], [])

    def test_counts_and_holds(self):
        count = {"FACILITY": "DAY1", "SCHED_START_DATE": "2026-10-01T00:00:00", "DetailList": [
            {"FIELDNAME": "ITEMID", "FILTER_TYPE": "E"}, {"FIELDNAME": "NO", "FILTER_TYPE": "E"}]}
        self.post("ControlledCount", count)
        self.post("ControlledCount", count)
        self.assertEqual([len(c["DetailList"]) for c in self.stored("controlled_count_import")], [1, 1],
                         "each call is one more count")
        self.assertEqual(self.reason("ControlledCount", dict(count, FACILITY="X")), "")
        self.assertIn("No period exists", self.reason("ControlledCount", dict(count, SCHED_START_DATE="2010-01-01")))
        free = next(r for r in self.client.control("GET", "/stock") if not r["HOLD"] and r["SITE"] == "1")
        hold = {"Facility": "DAY1", "License_ID": free["SKIDID"], "Transaction": "H", "Add_Reason_Code": "DMG"}
        reply = self.client.post("/api/QCHold", hold, token=False)
        self.assertEqual((reply.status, reply.json()), (200, DONE), "no token is asked for")
        self.assertEqual(self.reason("QCHold", hold), "No records found to put on hold")
        self.post("QCHold", dict(hold, Transaction="R"))
        self.assertEqual(self.reason("QCHold", dict(hold, Transaction="R")), "No records found on hold")
        self.assertEqual(self.client.post("/api/QCHold", b"").status, 500)

    def test_confirm_ship(self):
        order = next(r for r in self.client.data("/api/COStatusByCO?aStatusList=L&aDockRange=&aDate=&aDatefield=0&"
                                                 "aDateFilter=0&aSiteID=1&aUserID=x"))
        before = self.counts("CustOrderExport")["F"]
        target = "/api/CustOrderShipImport?aOrderNumber=" + order["OrderNumber"]
        self.assertEqual(self.client.put(target, b"", token=False).json(), DONE)
        self.assertEqual(self.counts("CustOrderExport")["F"], before + 1)
        reply = self.client.put(target, b"")
        self.assertEqual(reply.status, 400)
        self.assertTrue(reply.message.startswith("Error confirm shipping order "))


class Looking(Case):
    """The interactive service."""

    def one(self, **wanted):
        return next(r for r in self.client.control("GET", "/stock") if all(r[k] == v for k, v in wanted.items()))

    def elements(self, target):
        envelope = self.client.rest(target).json()
        self.assertTrue(envelope["successful"], envelope)
        self.assertTrue(envelope["DataMessage"].startswith("OK<NewDataSet"))
        return list(xml.fromstring(envelope["DataMessage"][2:]))

    def test_envelope(self):
        envelope = self.client.rest("/api/DockSchd?aID=u|1|D99|9/1/2026").json()
        self.assertEqual(envelope, {"HHID": None, "UnitID": None, "ConnectionID": None, "successful": False,
                                    "ErrorMessage": "No scheduled records found.", "DataMessage": None, "anImage": None})
        self.assertEqual(self.client.rest("/api/DockSchd").status, 404)
        self.assertEqual(self.client.rest("/api/DockSchd?aID=x", "DELETE").status, 405)

    def test_stock(self):
        row = self.one(SITE="1")
        target = "/api/InvLookup?aItemID=%s&aIncludeQC=True&aIncludeExp=True&aIncludePicked=True&aFieldType=%d" \
                 "&aFieldValue=%s&aUserID=u&aSiteID=1"
        found = self.elements(target % (row["ITEMID"].replace(" ", "%20").replace('"', "%22"), 0, ""))
        self.assertIn(row["SKIDID"], [e.findtext("SKIDID") for e in found])
        found = self.elements(target % (row["ITEMID"].replace(" ", "%20").replace('"', "%22"), 1, row["LOCATION"]))
        self.assertEqual({e.findtext("LOCATIONID") for e in found}, {row["LOCATION"]})
        self.assertTrue(found[0].findtext("DATETIMEPROD").endswith("-05:00"))
        self.assertEqual(self.elements(target % ("NOPE", 0, "")), [])
        reply = self.client.rest((target % ("X", 0, "")).replace("aIncludeQC=True", "aIncludeQC=maybe"))
        self.assertEqual((reply.status, reply.message), (400, "The request is invalid."))

    def test_licenses(self):
        row = self.one(SITE="1", ALLOCATED=0.0)
        target = "/api/InvLookup?aSkidID=%s&aItemID=&aLocationID=&aUserID=u&aSiteID=%s"
        found = self.client.data(target % (row["SKIDID"], 1))
        self.assertEqual((found["invRecord"]["SkidID"], found["invRecord"]["QtyTotal"]), (row["SKIDID"], row["QTY"]))
        self.assertIsNone(self.client.data(target % (row["SKIDID"], 2))["invRecord"], "wrong site, no reason")
        target = "/api/InvHistoryLookup?aSkidID=%s&aItemID=&aLocationID=&aUserID=u&aSiteID=1"
        self.assertEqual(len(self.client.data(target % row["SKIDID"])), 2)
        self.assertFalse(self.client.data(target % "NOPE")[0]["successful"])

    def test_orders(self):
        pair = "&aSiteID=1&aUserID=TABLET"
        orders = self.client.data("/api/COStatusByCO?aStatusList=S,N&aDockRange=D01|D02&aDate=&aDatefield=0&aDateFilter=0" + pair)
        self.assertEqual({o["PickStatus"] for o in orders}, {"S", "N"})
        day = orders[0]["Sched_Datetime"][:10]
        same = self.client.data("/api/COStatusByCO?aStatusList=&aDockRange=&aDate=%s&aDatefield=0&aDateFilter=1%s" % (day, pair))
        self.assertEqual({o["Sched_Datetime"][:10] for o in same}, {day})
        number = orders[0]["OrderNumber"]
        order = self.client.data("/api/COInfo?aOrderNumber=" + number + pair)
        self.assertTrue(order["DetailXMLInfo"].startswith("OK<NewDataSet>"))
        line = xml.fromstring(order["DetailXMLInfo"][2:])[0].findtext("LINENUMBER")
        self.elements("/api/InvAvail?aOrderNumber=%s&aLineNum=%s&aIncludeQC=T&aIncludeExp=T%s" % (number, line, pair))
        schedule = self.client.data("/api/COSched?aOrderNumber=" + number + pair)
        self.assertEqual(schedule["OrderNumber"], number)
        self.assertTrue(schedule["shipmentItemsList"])
        self.assertTrue(self.client.data("/api/COSMSummary?aStatusList=&aDockRange=&aDatefield=0&aDateFilter=0" + pair))
        mine = self.client.data("/api/COInfo?aCustFilterType=0&aCustData=&aFiltertype=3&aFilterData=S" + pair)
        self.assertEqual({o["PickStatus"] for o in mine}, {"S"})
        gone = self.client.rest("/api/COInfo?aOrderNumber=NOPE" + pair).json()
        self.assertEqual((gone["successful"], gone["DataMessage"]), (False, None))
        broken = self.client.rest("/api/COInfo?aOrderNumber=O'MALLEY-1" + pair).json()
        self.assertIn("Unclosed quotation mark", broken["ErrorMessage"])

    def test_docks_and_trailers(self):
        found = self.client.data("/api/DockSchd?aID=u|1|D02|9/1/2026")
        self.assertEqual({a["Dock"] for a in found}, {"D02"})
        pair = "&aSiteID=1&aUserID=u"
        for kind in "VTP":
            found = self.client.data("/api/cocontainerlookup?aOrderNumber=&aContainerID=&aCntrType=" + kind + pair)
            self.assertGreater(len(found), 3, kind)

    def test_purchases_and_work(self):
        body = {"UserID": "u", "SiteID": "1", "inputDataList": ["O", "0", "0"]}
        found = self.client.data("/api/POStatusByPO", "POST", body)
        self.assertEqual({p["Status"] for p in found}, {"O"})
        broken = self.client.rest("/api/POStatusByPO", "POST", dict(body, inputDataList=["O", "0", "1"])).json()
        self.assertIn("aggregate", broken["ErrorMessage"])
        self.assertEqual(self.client.data("/api/POStatusByPO", "POST", dict(body, inputDataList=["Q", "0", "0"])), [])
        self.assertTrue(self.client.data("/api/POStatusSummary", "POST", dict(body, inputDataList=["", "0", "0"])))
        pair = "&aSiteID=1&aUserID=u"
        self.assertTrue(self.client.data("/api/POInfo?aVendorFilterType=&aVendorData=&aFiltertype=&aFilterData=" + pair))
        work = self.client.data("/api/WOHdr?aProdLine=LINE1&aDate=" + pair)
        self.assertEqual({w["Prodline"] for w in work}, {"LINE1"})
        self.assertEqual(self.client.rest("/api/WOHdr?aProdLine=NO&aDate=" + pair).json()["ErrorMessage"], "No Work Orders found")
        target = "/api/WOSM?aByWO=%s&aStatusList=&aProdLineRange=&aDatefield=0&aDateFilter=0" + pair
        self.assertIn("Workorder_ID", self.client.data(target % "True")[0])
        self.assertIn("StatusID", self.client.data(target % "False")[0])
        boms = self.client.data("/api/BOM?aItemID=%s&aQty=1%s" % (work[0]["Prod_ItemID"].replace(" ", "%20").replace('"', "%22"), pair))
        self.assertEqual(len(boms), 4)
        zones = self.client.data("/api/ReplenSummary?aZoneID=Z1-Z2&aReplenFilterType=N" + pair)
        self.assertEqual([z["ZoneID"] for z in zones], ["Z1", "Z2"])
        self.assertTrue(self.client.data("/api/Replen?aZoneID=&aReplenFilterType=S" + pair))

    def test_counts(self):
        flags = "".join("&aInclude%s=True" % n for n in ("LocCounted", "LocUncounted", "Reviewed", "InvAll", "QtyVar",
                                                         "LocChg", "LocEmpty"))
        found = self.client.data("/api/PhysCount?aCountNum=1&aStartLocID=A&aEndLocID=B&aStartItemID=&aEndItemID=" + flags +
                                 "&aUserID=u&aSiteID=1")
        self.assertTrue(found and all(r["LocationID"].startswith("A") for r in found))

    def test_inspection_and_logon(self):
        target = "/api/Inspection?aUserID=u&aSiteID=1&aOrderType=C&aOrderNum=SO050000&aTrailerNum=&aTrailerType=" \
                 "&aTrailerWeight=0&aOverride=False"
        reply = self.client.rest(target)
        self.assertEqual((reply.status, reply.headers["WWW-Authenticate"]), (401, 'Basic realm="localhost"'))
        word = base64.b64encode(("u:" + self.client.sim["token"]).encode()).decode()
        found = json.loads(self.client.rest(target, headers={"Authorization": "Basic " + word}).json()["DataMessage"])
        self.assertEqual(len(found["myList"]), 3)
        found = self.client.rest("/api/Logon", "POST", {"UserID": "u", "inputDataList": ["pw"]},
                                 headers={"Authorization": "Basic " + word}).json()
        self.assertEqual(found["ReturnMessage"], "OK")
        self.assertEqual(len(found["lookupDockList"]), 4)
        self.assertEqual(self.client.control("GET", "/counter")["slots"], 1)

    def test_calls_at_the_same_time(self):
        target = "/api/DockSchd?aID=u|1|D02|9/1/2026"
        alone = self.client.rest(target).body
        self.assertEqual(self.client.control("GET", "/counter")["overlaps"], 0)
        self.set(rest_latency_ms=300)
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.client.rest(target))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(self.client.control("GET", "/counter")["overlaps"], 0)
        self.assertTrue(all(r.status == 200 and r.body != alone for r in found))


class Trouble(Case):
    def test_announce(self):
        self.set(announce={"TranFile": {"Deprecation": "@1"}})
        self.assertEqual(self.feed("TranFileExport").headers["Deprecation"], "@1")
        self.assertNotIn("Deprecation", self.feed("CustOrderExport").headers)

    def test_before_the_action(self):
        for kind, status in (("500", 500), ("401", 401), ("502", 502), ("503", 503)):
            self.fault(kind=kind)
            self.assertEqual(self.feed("TranFileExport").status, status)
            self.assertEqual(self.counts("TranFileExport")["S"], 0)

    def test_after_it(self):
        self.fault(kind="502", late=True)
        reply = self.feed("TranFileExport")
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (502, "text/html"))
        self.assertEqual(self.counts("TranFileExport")["F"], 13, "all but those of the site without a host code")

    def test_torn_after_marking(self):
        self.fault(kind="cut", row=5)
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            self.feed("TranFileExport")
        self.assertGreater(self.counts("TranFileExport")["S"], 100)
        self.client.control("POST", "/reset", {})
        self.fault(kind="torn", row=5)
        reply = self.feed("TranFileExport")
        self.assertEqual(reply.body.count(b'"TRANFILE_REC_ID"'), 5)
        with self.assertRaises(ValueError):
            reply.json()
        self.assertGreater(self.counts("TranFileExport")["S"], 100)
        self.set(include_processing=True)
        self.assertGreater(len(self.rows("TranFileExport")), 100)

    def test_torn_streams(self):
        self.client.control("POST", "/bulk", {"feed": "TranFileExport", "rows": 5000})
        self.fault(kind="cut", at=0.5)
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            self.feed("TranFileExport")
        self.set(include_processing=True)
        self.fault(kind="torn", at=0.5)
        with self.assertRaises(ValueError):
            self.feed("TranFileExport").json()
        self.assertGreater(len(self.rows("TranFileExport")), 5000)

    def test_log(self):
        self.feed("TranFileExport")
        entry = self.last()
        self.assertEqual((entry["service"], entry["base"], entry["method"], entry["status"], entry["authorization"]),
                         ("tranfileexport", "interface", "GET", 200, "Bearer"))
        self.assertGreater(entry["rows"], 100)
        self.assertEqual(self.client.control("GET", "/counter")["tranfileexport"], 1)


class Life(unittest.TestCase):
    def test_it_ends_with_its_parent(self):
        folder = tempfile.mkdtemp(prefix="makini-test-")
        script = "import subprocess, sys; p = subprocess.Popen([sys.executable] + sys.argv[1:], stdout=subprocess.PIPE); " \
                 "p.stdout.readline(); print(p.pid, flush=True); sys.stdin.read()"
        parent = subprocess.Popen(["/usr/bin/python3", "-c", script, os.path.join(HERE, "sim.py"), "--dir", folder],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        pid = int(parent.stdout.readline())
        watched = os.pidfd_open(pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        import select
        self.assertTrue(select.select([watched], [], [], 30)[0], "still there")
        os.close(watched)
        parent.stdin.close()
        parent.stdout.close()
        shutil.rmtree(folder)

    def test_the_same_data_each_time(self):
        found = []
        for _ in range(2):
            folder, process = start("--rows", "tranfile_export=10", "--setting", "include_processing=true")
            client = Client(folder)
            self.assertTrue(client.control("GET", "/setting")["include_processing"])
            found.append(client.get("/api/TranFileExport?aCustID=&aExcludeTrantype=").body)
            stop(folder, process)
        self.assertEqual(found[0], found[1])


if __name__ == "__main__":
    unittest.main()
