"""Transactions with their lines, postings and links, and the stock they move."""

import datetime
import random
from decimal import Decimal

from words import TRANSACTION_TYPES

FLOW = {"SalesOrd": "ItemShip", "ItemShip": "CustInvc", "PurchOrd": "ItemRcpt", "ItemRcpt": "VendBill",
        "RtnAuth": "CustCred"}

SUPPLY = ("PurchOrd", "ItemRcpt", "VendBill")


class Ledger:
    def __init__(self, generator):
        self.g = generator
        self.unique_key = 0

    def make(self):
        g = self.g
        for table in ("transaction", "transactionline", "transactionaccountingline", "nexttransactionlinelink",
                      "transactionshippingaddress", "transactionstatus", "entity", "inventorybalance",
                      "aggregateitemlocation", "inventoryitemlocations", "trackingnumbermap", "transactionshipment",
                      "inventoryassignment"):
            g.rows[table] = []
        self.statuses()
        self.transactions()
        self.stock()
        self.entities()

    def add(self, table, known):
        rows = self.g.rows[table]
        rows.append(self.g.row(table, len(rows), known))
        return rows[-1]

    def statuses(self):
        for kind, (_, name, letters) in TRANSACTION_TYPES.items():
            for letter, text in letters.items():
                self.add("transactionstatus", {"trantype": kind, "id": letter, "name": text,
                                               "fullname": "%s : %s" % (name, text), "trancustomtype": None})

    def transactions(self):
        from data import wide_ids
        kinds = [k for k in TRANSACTION_TYPES for _ in range(3 if k in ("SalesOrd", "ItemShip", "CustInvc") else 1)]
        ids = wide_ids("transaction", self.g.size("transaction"), self.g.first_id("transaction"))
        self.g.ids["transaction"] = []
        previous = {}
        for n, one in enumerate(ids):
            rng = random.Random("transaction/known/%d" % n)
            kind = rng.choice(kinds)
            header = self.header(n, one, kind, rng)
            lines = self.lines(header, kind, rng)
            self.links(header, lines, kind, previous, rng)
            previous[kind] = (header, lines)
            self.g.ids["transaction"].append(one)

    def header(self, n, one, kind, rng):
        record_type, name, letters = TRANSACTION_TYPES[kind]
        modified = self.g.moment(rng)
        created = modified - datetime.timedelta(days=rng.randrange(0, 40), seconds=rng.randrange(86400))
        entity = None
        if kind not in ("InvAdjst", "Journal", "TrnfrOrd"):
            entity = rng.choice(self.g.ids["vendor" if kind in SUPPLY else "customer"])
        number = "%s%d" % ("".join(c for c in kind if c.isupper()), 10000 + n)
        voided = rng.random() < 0.03
        return self.add("transaction", {
            "id": one, "tranid": None if n % 50 == 49 else number, "transactionnumber": number, "number": number,
            "type": kind, "recordtype": record_type, "abbrevtype": number.rstrip("0123456789"), "customtype": -1,
            "trandate": created.date().isoformat(), "trandisplayname": "%s #%s" % (name, number),
            "status": rng.choice(list(letters)) if letters else None, "entity": entity,
            "currency": rng.randrange(1, 5), "voided": "T" if voided else "F", "void": "T" if voided else "F",
            "createddate": created.isoformat(" ") + "+00", "lastmodifieddate": modified.isoformat(" ") + "+00",
            "postingperiod": rng.choice(self.g.ids["accountingperiod"]), "reversal": None,
            "memo": self.g.text(rng) if rng.random() < 0.4 else None,
            "shippingaddress": None if n % 3 else 70000 + n,
            "custbody_sim_carrier": rng.choice(self.g.ids["shipitem"]) if n % 2 else None})

    def lines(self, header, kind, rng):
        lines = []
        count = rng.randrange(1, 6)
        total = Decimal(0)
        for n in range(count + 1):
            main = n == 0
            quantity = Decimal(rng.choice(["1", "2", ".5", "12", "100", "-3"]))
            rate = Decimal(rng.choice(["9.99", "100", ".25", "1234.5", "0"]))
            amount = quantity * rate
            total += 0 if main else amount
            self.unique_key += rng.randrange(1, 4)
            lines.append(self.add("transactionline", {
                "transaction": header["id"], "id": n, "uniquekey": self.unique_key, "linesequencenumber": n * 2,
                "mainline": "T" if main else "F", "taxline": "T" if n == 5 else "F", "iscogs": "F",
                "item": None if main else rng.choice(self.g.ids["item"]), "entity": header["entity"],
                "quantity": None if main else -quantity if kind == "SalesOrd" else quantity,
                "rate": None if main else rate, "netamount": amount, "foreignamount": amount,
                "subsidiary": self.g.ids["subsidiary"][0], "location": rng.choice(self.g.ids["location"]),
                "department": rng.choice(self.g.ids["department"] + [None]), "createdfrom": None, "createdpo": None,
                "kitmemberof": None,
                "class": rng.choice(self.g.ids["classification"] + [None]),
                "linelastmodifieddate": header["lastmodifieddate"]}))
            # Rows written before 2023.1 have no watermark here.
            old = header["createddate"] < "2024-01"
            self.add("transactionaccountingline", {
                "transaction": header["id"], "transactionline": n, "accountingbook": 1, "amount": amount,
                "account": rng.choice(self.g.ids["account"]), "posting": header["posting"] or "F",
                "debit": amount if amount > 0 else None, "credit": -amount if amount < 0 else None,
                "lastmodifieddate": None if old else header["lastmodifieddate"]})
        lines[0]["netamount"] = lines[0]["foreignamount"] = total
        header["foreigntotal"] = header["total"] = total
        return lines

    def links(self, header, lines, kind, previous, rng):
        if header["shippingaddress"]:
            self.add("transactionshippingaddress", {"nkey": header["shippingaddress"], "addressee": self.g.firm(rng)})
        for before, after in FLOW.items():
            if after != kind or before not in previous:
                continue
            earlier, earlier_lines = previous[before]
            for old, new in zip(earlier_lines[1:], lines[1:]):
                new["createdfrom"] = earlier["id"]
                self.add("nexttransactionlinelink", {
                    "previousdoc": earlier["id"], "previousline": old["id"], "previoustype": before,
                    "nextdoc": header["id"], "nextline": new["id"], "nexttype": kind,
                    "linktype": "ShipRcpt" if after in ("ItemShip", "ItemRcpt") else "OrdBill",
                    "lastmodifieddate": header["lastmodifieddate"]})
        if kind == "ItemShip":
            numbers = self.g.ids["trackingnumber"]
            self.add("trackingnumbermap", {"transaction": header["id"], "trackingnumber": rng.choice(numbers)})
            self.add("transactionshipment", {"doc": header["id"],
                                             "shippingmethod": rng.choice(self.g.ids["shipitem"])})
            self.add("inventoryassignment", {"id": len(self.g.rows["inventoryassignment"]) + 1,
                                             "transaction": header["id"], "transactionline": 1})

    def stock(self):
        for item in self.g.rows["item"]:
            if item["itemtype"] not in ("InvtPart", "Assembly"):
                continue
            rng = random.Random("stock/%d" % item["id"])
            for location in rng.sample(self.g.ids["location"], 3):
                known = {"item": item["id"], "location": location,
                         "quantityonhand": rng.choice([None, "0", "10", "2.5", ".75", "1000"])}
                self.add("aggregateitemlocation", known)
                if item["itemtype"] == "InvtPart":
                    self.g.rows["inventoryitemlocations"].append(dict(self.g.rows["aggregateitemlocation"][-1]))
                self.balances(item["id"], location, rng)

    def balances(self, item, location, rng):
        """Any part of the key but item and location may be NULL; still no two rows are alike."""
        seen = set()
        for _ in range(rng.randrange(1, 4)):
            parts = (rng.choice(self.g.ids["bin"] + [None] * 20),
                     rng.choice(self.g.ids["inventorynumber"] + [None] * 40),
                     rng.choice(self.g.ids["inventorystatus"] + [None]))
            if parts not in seen:
                seen.add(parts)
                self.add("inventorybalance", {"item": item, "location": location, "binnumber": parts[0],
                                              "inventorynumber": parts[1], "inventorystatus": parts[2]})

    def entities(self):
        for table, kind in (("customer", "CustJob"), ("vendor", "Vendor"), ("employee", "Employee")):
            for row in self.g.rows[table]:
                known = {c: row[c] for c in self.g.account.tables["entity"].columns if c in row}
                known.update({"type": kind, table: row["id"], "isinactive": row["isinactive"], "parent": None,
                              "toplevelparent": None})
                self.add("entity", known)
        self.g.ids["entity"] = [r["id"] for r in self.g.rows["entity"]]
