#!/usr/bin/python3
"""Tests of the simulator's SuiteQL: what it refuses, what it means, how it is paged."""

import gzip
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import Case, client, setUpModule, tearDownModule     # noqa: E402, F401
from client import SUITEQL_PATH         # noqa: E402


class Gate(Case):
    """What SuiteQL refuses."""

    def test_refused_syntax(self):
        for text, reason in [
            ("SELECT id FROM item LIMIT 5", "LIMIT"),
            ("WITH x AS (SELECT id FROM item) SELECT id FROM x", "WITH"),
            ("SELECT id FROM item OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY", "OFFSET"),
            ("SELECT [id] FROM item", "character"),
            ("SELECT id::text FROM item", "character"),
            ("SELECT id FROM item;", "character"),
            ("SELECT id FROM item WHERE itemid ILIKE 'a%'", "ILIKE"),
            ("SELECT id FROM item WHERE lastmodifieddate > DATE '2026-01-01'", "DATE literals"),
            ("SELECT id FROM item WHERE lastmodifieddate > TIMESTAMP '2026-01-01 00:00:00'", "TIMESTAMP literals"),
            ("SELECT i.id FROM item i RIGHT JOIN customer c ON c.id = i.id", "RIGHT"),
            ("SELECT i.id FROM item i FULL OUTER JOIN customer c ON c.id = i.id", "FULL"),
            ("SELECT i.id FROM item i NATURAL JOIN customer c", "NATURAL"),
            ("SELECT i.id FROM item i JOIN customer c USING (id)", "USING"),
            ("SELECT itemid + displayname FROM item", "+ does not join"),
            ("SELECT \"id\" FROM item", "quoted identifier"),
            ("SELECT x.y FROM (SELECT id AS \"y\" FROM item) x", "quoted alias"),
            ("SELECT i.id FROM item i, customer c INNER JOIN vendor v ON v.id = c.id", "mixed"),
            ("SELECT id FROM item WHERE isinactive = TRUE", "boolean"),
            ("SELECT id FROM item WHERE isinactive", "value stands where a condition"),
            ("SELECT id = 5 FROM item", "condition stands where a value"),
            ("SELECT id FROM item WHERE (id, itemid) > (1, 'x')", "row values"),
            ("SELECT id FROM item WHERE id = ANY (SELECT id FROM item)", "quantified"),
            ("SELECT id FROM item ORDER BY id NULLS FIRST", "NULLS"),
            ("SELECT id FROM item WHERE itemid LIKE 'a!%' ESCAPE '!'", "ESCAPE"),
            ("SELECT CAST(id AS VARCHAR(10)) FROM item", "not SuiteQL"),
            ("SELECT EXTRACT(year FROM lastmodifieddate) FROM item", "not SuiteQL"),
            ("SELECT NOW() FROM item", "not a SuiteQL function"),
            ("SELECT DATE(lastmodifieddate) FROM item", "not a SuiteQL function"),
            ("SELECT LEFT(itemid, 3) FROM item", "not a SuiteQL function"),
            ("SELECT SUBSTRING(itemid, 3) FROM item", "not a SuiteQL function"),
            ("SELECT LISTAGG(itemid, ',') FROM item", "not a SuiteQL function"),
            ("SELECT STRING_AGG(itemid, ',') FROM item", "not a SuiteQL function"),
            ("SELECT id AS date FROM item", "reserved"),
            ("SELECT id", "FROM is missing"),
            ("SELECT id FROM netsuite.item", "qualified"),
            ("DELETE FROM item", "only SELECT"),
            ("SELECT id FROM item GROUP BY 1", "GROUP BY a constant"),
            ("SELECT id, itemid FROM item GROUP BY id", "execution"),
            ("SELECT id FROM item WHERE id = 'abc'", "not a number"),
            ("SELECT id FROM item WHERE trandate = '2026-01-01'", ""),
            ("SELECT id, id FROM item UNION SELECT id FROM item", "different numbers"),
            ("SELECT id FROM item EXCEPT SELECT id FROM item", "EXCEPT"),
            ("SELECT id FROM item WHERE SYS_EXTRACT_UTC(nextinvtcountdate) > TO_TIMESTAMP('2026', 'YYYY')", "zone"),
            ("SELECT TO_CHAR(id, 'nonsense') FROM item", "number format"),
            ("SELECT TO_CHAR(createddate, 'YYYY-foo') FROM item", "format"),
            ("SELECT id FROM item WHERE createddate > TO_DATE('2026-13-01', 'YYYY-MM-DD')", "month"),
            ("SELECT id FROM item WHERE createddate > TO_DATE('2026-01-01 10:00', 'YYYY-MM-DD')", "match"),
            ("SELECT id FROM item WHERE ROWNUM > 5", "ROWNUM"),
        ]:
            with self.subTest(text):
                if reason:
                    self.refused(text, reason=reason)
                else:
                    self.assertEqual(client.suiteql(text).status, 400)

    def test_in_list(self):
        members = ", ".join(str(n) for n in range(1000))
        self.assertTrue(client.rows("SELECT id FROM item WHERE id IN (%s)" % members))
        self.refused("SELECT id FROM item WHERE id IN (%s, 1000)" % members, reason="IN list of 1001")

    def test_names(self):
        self.refused("SELECT nope FROM transaction",
                     "Unknown identifier 'nope'. Available identifiers are: {transaction=transaction}.")
        self.refused("SELECT t.nope FROM transaction t, item i",
                     "Unknown identifier 'nope'. Available identifiers are: {transaction=t, item=i}.")
        reply = self.refused("SELECT id FROM Email", "Invalid search type: Email.")
        self.assertEqual(reply.detail, "Invalid search query. Detailed unprocessed description follows. "
                                       "Invalid search type: Email.")
        self.assertEqual(reply.json()["o:errorDetails"][0]["o:errorQueryParam"], "q")
        self.refused("SELECT id FROM item i, customer c", reason="ambiguous")

    def test_rights(self):
        client.control("POST", "/hide", {"table": "customer", "kind": "record"})
        self.refused("SELECT id FROM customer", "Record 'customer' was not found.")
        client.control("POST", "/hide", {"table": "item", "column": "cost", "kind": "not_exposed"})
        self.refused("SELECT cost FROM item", "Field 'cost' ")
        self.assertNotIn("cost", client.rows("SELECT * FROM item WHERE cost IS NOT NULL".replace(
            "cost IS NOT NULL", "id > 0"))[0])
        client.control("POST", "/hide", {"table": "item", "column": "weight", "kind": "500"})
        reply = client.suiteql("SELECT id FROM item WHERE weight > 5")
        self.assertEqual((reply.status, reply.code), (500, "UNEXPECTED_ERROR"))
        client.control("POST", "/hide", {"table": "item", "column": "mpn", "kind": "400"})
        self.refused("SELECT MAX(mpn) FROM item")

    def test_user_dates(self):
        self.refused("SELECT id FROM transaction WHERE trandate >= '2022-12-31'",
                     'Invalid search query. Search error occurred: Parse of date/time "2022-12-31" failed with date '
                     'format "M/d/yyyy" in time zone America/Los_Angeles')
        self.assertTrue(client.rows("SELECT id FROM transaction WHERE trandate >= '1/1/2020'"))


class Meaning(Case):
    """That what is taken means what it means in NetSuite."""

    def test_form_of_answers(self):
        reply = client.suiteql("SELECT id, CompanyName AS ZName, isinactive FROM vendor WHERE id = -3")
        self.assertEqual(reply.headers["content-type"],
                         "application/vnd.oracle.resource+json; type=collection; charset=UTF-8")
        self.assertEqual(reply.headers["preference-applied"], "transient")
        self.assertIn("x-n-operationid", reply.headers)
        body = reply.json()
        self.assertEqual(list(body), ["links", "count", "hasMore", "items", "offset", "totalResults"])
        self.assertEqual(body["items"], [{"links": [], "id": "-3", "isinactive": "F"}])
        self.assertEqual(body["links"], [{"rel": "self", "href": client.sim["url"] + SUITEQL_PATH, "method": "POST"}])
        self.assertIn(b'{"links":[],"id":"-3","isinactive":"F"}', reply.body)

    def test_names_of_columns(self):
        row, = client.rows("SELECT id, id + 1, MAX(id), id AS \"Big Name\" FROM item WHERE id = 1 GROUP BY id")
        self.assertEqual(row, {"id": "1", "expr1": "2", "expr2": "1", "big name": "1"})

    def test_numbers(self):
        client.sql("UPDATE netsuite.item SET cost = .5, averagecost = 1234567890123456789.120, weight = 100.00, "
                   "fxcost = 0.00000012 WHERE id = 1")
        text = "SELECT cost, averagecost, weight, fxcost, TO_CHAR(cost) AS t, -cost AS m, cost / 3 AS d FROM item " \
               "WHERE id = 1"
        row, = client.rows(text)
        self.assertEqual((row["cost"], row["averagecost"], row["weight"], row["fxcost"], row["t"], row["m"]),
                         ("0.5", "1234567890123456789.12", "100", "0.00000012", ".5", "-0.5"))
        self.assertTrue(row["d"].startswith("0.16666666666666"))
        client.setting(number_format="oracle")
        self.assertEqual(client.rows(text)[0]["m"], "-.5")
        client.setting(number_format="java")
        self.assertEqual(client.rows(text)[0]["fxcost"], "1.2E-7")

    def test_times(self):
        client.sql("UPDATE netsuite.item SET lastmodifieddate = '2025-11-02 09:30:00+00' WHERE id = 1")
        client.sql("UPDATE netsuite.item SET lastmodifieddate = '2025-11-02 08:30:00+00' WHERE id = 2")
        text = ("SELECT id, lastmodifieddate AS bare, TO_CHAR(lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS local, "
                "TO_CHAR(SYS_EXTRACT_UTC(lastmodifieddate), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS utc FROM item "
                "WHERE id IN (1, 2) ORDER BY id")
        one, two = client.rows(text)
        self.assertEqual(one["bare"], "11/2/2025")
        self.assertEqual(one["local"], two["local"])
        self.assertEqual((one["utc"], two["utc"]), ("2025-11-02T09:30:00Z", "2025-11-02T08:30:00Z"))
        self.assertEqual(client.rows(
            "SELECT id FROM item WHERE SYS_EXTRACT_UTC(lastmodifieddate) >= "
            "TO_TIMESTAMP('2025-11-02 09:00:00', 'YYYY-MM-DD HH24:MI:SS') AND id <= 2 AND id > 0"), [{"id": "1"}])
        client.setting(date_format="D.M.YYYY")
        self.assertEqual(client.rows(text)[0]["bare"], "2.11.2025")
        client.setting(utc_extraction=False)
        self.refused(text, reason="utc_extraction")

    def test_utc_literal_in_the_hour_that_does_not_exist(self):
        client.sql("UPDATE netsuite.item SET lastmodifieddate = '2026-03-08 02:30:00+00' WHERE id = 1")
        self.assertEqual(client.rows(
            "SELECT id FROM item WHERE SYS_EXTRACT_UTC(lastmodifieddate) = "
            "TO_TIMESTAMP('2026-03-08 02:30:00', 'YYYY-MM-DD HH24:MI:SS')"), [{"id": "1"}])

    def test_dates(self):
        client.sql("UPDATE netsuite.transaction SET trandate = '2026-01-31' WHERE id = 2002")
        row, = client.rows("SELECT trandate, TO_CHAR(trandate, 'YYYY-MM-DD') AS t, TO_CHAR(trandate + 1, 'DD') AS n "
                           "FROM transaction WHERE id = 2002 AND trandate = TO_DATE('2026-01-31', 'YYYY-MM-DD')")
        self.assertEqual(row, {"trandate": "1/31/2026", "t": "2026-01-31", "n": "01"})

    def test_empty_text_is_null(self):
        self.assertEqual(client.rows("SELECT id FROM item WHERE itemid = ''"), [])
        self.assertEqual(client.rows("SELECT id FROM item WHERE itemid <> ''"), [])
        self.assertEqual(client.rows("SELECT id FROM item WHERE itemid <> ?", [""]), [])
        self.assertEqual(client.rows("SELECT '' AS a, NULL || 'x' AS b, SUBSTR('abc', 9) AS c, "
                                     "TRIM('  ') AS d FROM dual"), [{"b": "x"}])
        self.assertEqual(client.value("SELECT COUNT(*) FROM dual WHERE '' IS NULL"), "1")

    def test_nulls_are_left_out(self):
        row, = client.rows("SELECT id, companyname FROM vendor WHERE id = -3")
        self.assertEqual(row, {"id": "-3"})

    def test_order_of_text_is_linguistic(self):
        client.sql("UPDATE netsuite.vendor SET legalname = (ARRAY['', 'B', 'a', 'A', 'Ä', 'z'])[id] WHERE id <= 5")
        names = [r["n"] for r in client.rows("SELECT legalname AS n FROM vendor WHERE id BETWEEN 2 AND 5 "
                                             "ORDER BY legalname")]
        self.assertEqual(names, ["a", "A", "Ä", "B"])

    def test_parameters(self):
        self.assertEqual(client.rows("SELECT id FROM item WHERE id = ?", ["1"]), [{"id": "1"}])
        self.assertEqual(client.rows("SELECT id FROM item WHERE id IN (?, ?) ORDER BY id", ["1", "2"]),
                         [{"id": "1"}, {"id": "2"}])
        self.refused("SELECT id FROM item WHERE id = ?", reason="1 placeholders", params=[])
        self.refused("SELECT id FROM item WHERE id = ?", reason="not a number", params=["x"])
        self.assertEqual(client.suiteql("SELECT id FROM item WHERE id = ?", [5]).status, 400)
        text = "O'Brien \\ \"x\" % 日本"
        client.sql("UPDATE netsuite.item SET mpn = %s WHERE id = 2", [text])
        self.assertEqual(client.rows("SELECT mpn FROM item WHERE mpn = ?", [text]), [{"mpn": text}])

    def test_like(self):
        client.sql("UPDATE netsuite.item SET mpn = 'back\\slash!' WHERE id = 1")
        self.assertEqual(client.rows("SELECT id FROM item WHERE mpn LIKE ?", ["back\\slash!%"]), [{"id": "1"}])
        self.assertEqual(client.rows("SELECT id FROM item WHERE mpn LIKE 'BACK%!'"), [])
        client.setting(text_compare="insensitive")
        self.assertEqual(client.rows("SELECT id FROM item WHERE mpn LIKE 'BACK%!'"), [{"id": "1"}])
        self.assertEqual(client.rows("SELECT id FROM item WHERE mpn = 'BACK\\SLASH!'"), [{"id": "1"}])

    def test_rownum(self):
        rows = client.rows("SELECT id FROM item WHERE ROWNUM <= 3 AND id > 0 ORDER BY id DESC")
        self.assertEqual(len(rows), 3)
        top = client.rows("SELECT TOP 3 id FROM item WHERE id > 0 ORDER BY id DESC")
        self.assertEqual(top, client.rows("SELECT id FROM item WHERE id > 0 ORDER BY id DESC FETCH FIRST 3 ROWS ONLY"))
        self.assertEqual(client.value("SELECT COUNT(*) FROM item WHERE ROWNUM <= 7"), "7")

    def test_joins_and_subqueries(self):
        count = client.sql("SELECT count(*) FROM netsuite.transactionline l JOIN netsuite.transaction t "
                           "ON t.id = l.transaction LEFT JOIN netsuite.item i ON i.id = l.item "
                           "WHERE t.type = 'SalesOrd'")[0][0]
        self.assertEqual(client.value(
            "SELECT COUNT(*) FROM transactionline l INNER JOIN transaction t ON t.id = l.transaction "
            "LEFT OUTER JOIN item i ON i.id = l.item WHERE t.type = 'SalesOrd'"), str(count))
        self.assertEqual(client.value(
            "SELECT COUNT(*) FROM (SELECT l.id FROM transactionline l, transaction t WHERE t.id = l.transaction "
            "AND t.type = 'SalesOrd')"), str(count))
        self.assertEqual(client.value("SELECT COUNT(*) FROM item WHERE id IN (SELECT item FROM transactionline)"),
                         client.value("SELECT COUNT(*) FROM item i WHERE EXISTS (SELECT 1 FROM transactionline l "
                                      "WHERE l.item = i.id)"))
        self.assertEqual(client.rows("SELECT id FROM item WHERE id = 1 UNION SELECT id FROM item WHERE id = 1 "
                                     "UNION ALL SELECT id FROM item WHERE id = 2 ORDER BY 1 DESC"),
                         [{"id": "2"}, {"id": "1"}])

    def test_functions(self):
        row, = client.rows(
            "SELECT NVL(NULL, 'x') a, DECODE(isinactive, 'T', 1, 'F', 0) b, NVL2(id, 'y', 'n') c, "
            "CASE WHEN id > 0 THEN 'pos' ELSE 'neg' END d, COALESCE(NULL, id) e, INSTR('abc', 'c') f, "
            "SUBSTR('abcdef', -3, 2) g, TRUNC(3.7) h, MOD(7, 3) i, LPAD('7', 3, '0') j, GREATEST(1, NULL) k "
            "FROM item WHERE id = 1")
        self.assertEqual(row, {"a": "x", "b": "0", "c": "y", "d": "pos", "e": "1", "f": "3", "g": "de", "h": "3",
                               "i": "1", "j": "007"})

    def test_display(self):
        name = client.sql("SELECT name FROM netsuite.currency WHERE id = 1")[0][0]
        client.sql("UPDATE netsuite.transaction SET currency = 1, status = 'B', type = 'SalesOrd' WHERE id = 2002")
        row, = client.rows("SELECT BUILTIN.DF(t.currency) a, BUILTIN.DF(t.status) b, BUILTIN.CF(t.status) c "
                           "FROM transaction t WHERE t.id = 2002")
        self.assertEqual(row, {"a": name, "b": "Sales Order : Pending Fulfillment", "c": "SalesOrd:B"})

    def test_every_table(self):
        from catalogue import load
        for table in load().values():
            with self.subTest(table.name):
                rows = client.rows("SELECT * FROM %s" % table.name)
                self.assertTrue(rows)
                keys = [tuple(r.get(k) for k in table.key) for r in rows]
                if len(rows) < 1000:
                    self.assertEqual(len(keys), len(set(keys)))

    def test_custom_fields(self):
        fields = client.rows("SELECT scriptid, fieldvaluetype FROM customfield ORDER BY internalid")
        self.assertIn({"scriptid": "CUSTITEM_SIM_MEASURED_AT", "fieldvaluetype": "Date/Time"}, fields)
        self.assertTrue(client.rows("SELECT custitem_sim_color, custitem_sim_measured_at FROM item"))

    def test_null_in_keys(self):
        self.assertTrue(client.rows("SELECT item FROM inventorybalance WHERE binnumber IS NULL"))


class Paging(Case):
    def test_pages(self):
        text = "SELECT id FROM item ORDER BY id"
        total = int(client.value("SELECT COUNT(*) FROM item"))
        seen, offset = [], 0
        while True:
            page = client.suiteql(text, limit=100, offset=offset).json()
            self.assertEqual(page["totalResults"], total)
            self.assertEqual(page["count"], len(page["items"]))
            seen += [i["id"] for i in page["items"]]
            rels = {l["rel"]: l["href"] for l in page["links"]}
            self.assertEqual("next" in rels, page["hasMore"])
            self.assertEqual("prev" in rels, offset > 0)
            if not page["hasMore"]:
                break
            offset += 100
            self.assertTrue(rels["next"].endswith("limit=100&offset=%d" % offset))
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(len(seen), total)

    def test_limits(self):
        for query in ("limit=0", "limit=1001", "limit=10&offset=5", "limit=1000&offset=100000", "limit=x", "foo=1",
                      "limit=-1"):
            with self.subTest(query):
                self.assertEqual(client.suiteql("SELECT id FROM item", query=query).status, 400)
        self.assertEqual(client.suiteql("SELECT id FROM item", query="").status, 200)
        self.assertEqual(client.suiteql("SELECT id FROM item", query="limit=10&offset=5000").json()["count"], 0)

    def test_cap(self):
        client.setting(row_cap=200)
        page = client.suiteql("SELECT id FROM item ORDER BY id", limit=100, offset=100).json()
        self.assertFalse(page["hasMore"])
        self.assertGreater(page["totalResults"], 200)
        self.assertEqual(client.suiteql("SELECT id FROM item", limit=100, offset=200).status, 400)

    def test_headers(self):
        self.assertEqual(client.suiteql("SELECT id FROM item", headers={"Prefer": None}).code, "INVALID_HEADER")
        self.assertEqual(client.suiteql("SELECT id FROM item", headers={"Content-Type": "text/plain"}).status, 415)
        client.setting(language="zh")
        reply = client.suiteql("SELECT id FROM item")
        self.assertEqual((reply.code, reply.json()["o:errorDetails"][0]["o:errorHeader"]),
                         ("INVALID_HEADER", "Accept-Language"))
        self.assertEqual(client.suiteql("SELECT id FROM item", headers={"Accept-Language": "zh"}).status, 200)

    def test_body(self):
        headers = {"Authorization": client.bearer(), "Content-Type": "application/json", "Prefer": "transient"}
        for body in ("", "[]", '{"q": 5}', '{"q": "SELECT id FROM item", "x": 1}', '{"q": "SELECT id FROM item"'):
            self.assertEqual(client.request("POST", SUITEQL_PATH, body, headers).status, 400)
        self.assertEqual(client.request("GET", SUITEQL_PATH, None, headers).status, 405)

    def test_gzip(self):
        plain = client.suiteql("SELECT id FROM item").body
        packed = client.suiteql("SELECT id FROM item", headers={"Accept-Encoding": "gzip, deflate"})
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain)


if __name__ == "__main__":
    unittest.main()
