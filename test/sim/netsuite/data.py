"""The rows of the simulated account: always the same for the same sizes.

Tables that hang together (transactions, their lines and postings, stock) are
made in ledger.py; here are the plain ones, and what any column gets when
nothing better is known of it.
"""

import csv
import datetime
import io
import random

from catalogue import STORAGE, Column
from words import (ACCOUNT_TYPES, COUNTRIES, CURRENCIES, CUSTOM_FIELDS, FIRMS, FIRST, FORMS, HOSTILE, ITEM_TYPES, LAST,
                   LONG, NUMBERS, PLACES, PLAIN, STATES, THINGS, TRANSACTION_TYPES)

ANCHOR = datetime.datetime(2026, 9, 1, 12, 0, 0)     # UTC; nothing is later

SIZES = {
    "item": 500, "customer": 300, "vendor": 60, "transaction": 1200, "contact": 150, "employee": 30, "location": 12,
    "subsidiary": 4, "department": 10, "classification": 8, "currency": len(CURRENCIES), "account": 45,
    "accounttype": len(ACCOUNT_TYPES), "deletedrecord": 120, "systemnote": 300, "accountingperiod": 36,
    "accountingbook": 2, "bin": 40, "inventorynumber": 60, "unitstypeuom": 9, "unitstype": 3, "pricelevel": 5,
    "entitystatus": 7, "nexus": 4, "zone": 3, "inventorystatus": 3, "term": 5, "currencyrate": 90,
}

# Made by ledger.py from transactions and items.
DEPENDENT = {"transaction", "transactionline", "transactionaccountingline", "nexttransactionlinelink",
             "aggregateitemlocation", "inventoryitemlocations", "inventorybalance", "transactionshippingaddress",
             "trackingnumbermap", "transactionshipment", "inventoryassignment", "entity"}

ORDER = ["currency", "subsidiary", "location", "department", "classification", "accounttype", "account", "employee",
         "term", "pricelevel", "unitstype", "unitstypeuom", "vendorcategory", "customercategory", "entitystatus",
         "shipitem", "accountingperiod", "accountingbook", "zone", "bin", "inventorystatus", "vendor", "customer",
         "contact", "item", "inventorynumber"]

FIRST_ID = {"vendor": 2, "transaction": 2001, "deletedrecord": 700001, "customfield": 4001}

# Share one space of ids, as entities do: table and its first id where those before leave room.
ENTITIES = {"employee": 301, "partner": 801, "job": 901, "customer": 1001, "contact": 50001}

CUSTOM_TARGETS = {"custitem_sim_buyer": ("employee", "id"), "custbody_sim_carrier": ("shipitem", "id")}

NEGATIVE = {"vendor": [-3], "employee": [-5], "item": [-6, -3, -2], "account": [-1]}


def wide_ids(table, n, first):
    """n ids from first on, a few of them negative, with the gaps that deletions leave."""
    ids = list(NEGATIVE.get(table, [])[:max(n - 1, 0)])
    at = first
    while len(ids) < n:
        if n < 20 or at % 7 != 6:
            ids.append(at)
        at += 1
    return ids


class Generator:
    def __init__(self, account, rows=None, scale=1.0):
        self.account = account
        self.sizes = {t: max(1, int(n * scale)) if n > 20 else n for t, n in SIZES.items()}
        self.sizes.update(rows or {})
        self.ids = {}
        self.rows = {}
        self.add_custom_fields()

    def size(self, table):
        return self.sizes.get(table, 6)

    def first_id(self, table):
        if table not in ENTITIES:
            return FIRST_ID.get(table, 1)
        end = FIRST_ID["vendor"] + self.size("vendor") * 7 // 6
        for name, first in ENTITIES.items():
            start = max(first, end + 2)
            if name == table:
                return start
            end = start + self.size(name) * 7 // 6

    def add_custom_fields(self):
        for script_id, table, _, kind in CUSTOM_FIELDS:
            refers = CUSTOM_TARGETS.get(script_id)
            self.account.tables[table].add(Column(script_id, kind, reference=refers is not None, target=refers))

    # -- single values ---------------------------------------------------------

    def moment(self, rng):
        """A time in UTC; now and then within the hour that the wall clock repeats, or on another's second."""
        dice = rng.random()
        if dice < 0.02:
            return datetime.datetime(2025, 11, 2, rng.choice([8, 9]), rng.randrange(60), 0)
        if dice < 0.05:
            return datetime.datetime(2026, 3, 8, 10, 0, 0)
        return ANCHOR - datetime.timedelta(seconds=int(rng.random() ** 2 * 3 * 365 * 86400))

    def text(self, rng):
        dice = rng.random()
        if dice < 0.25:
            return rng.choice(HOSTILE)
        if dice < 0.27:
            return LONG
        return rng.choice(PLAIN) + " " + str(rng.randrange(1000))

    def person(self, rng):
        return rng.choice(FIRST), rng.choice(LAST)

    def firm(self, rng):
        return rng.choice(FIRMS) + " " + rng.choice(FORMS)

    def reference(self, rng, column):
        table, key = column.target
        ids = self.ids.get(table)
        return rng.choice(ids) if ids else None

    def value(self, rng, table, column, n):
        """What a column gets when nothing is known of it but its name and kind."""
        kind, name = column.kind, column.name
        if not column.required and name != "isinactive" and rng.random() < 0.3:
            return None
        if kind == "boolean":
            return "T" if rng.random() < (0.08 if name == "isinactive" else 0.4) else "F"
        if kind == "number":
            if rng.random() < 0.25:
                return rng.choice(NUMBERS)
            return "%.*f" % (rng.choice([0, 1, 2, 4]), rng.uniform(-50, 5000))
        if kind == "date":
            if rng.random() < 0.02:
                return rng.choice(["1899-12-31", "2000-02-29", "2099-12-31"])
            return (self.moment(rng)).date().isoformat()
        if kind == "datetime":
            return self.moment(rng).isoformat(" ") + "+00"
        if kind == "integer":
            if column.target:
                return self.reference(rng, column)
            return rng.randrange(1, 12) if column.reference else rng.randrange(-3, 400)
        return self.named_text(rng, table, column, n)

    def named_text(self, rng, table, column, n):
        name = column.name
        if name == "subsidiary":
            chosen = sorted(rng.sample(self.ids["subsidiary"], rng.randrange(1, len(self.ids["subsidiary"]) + 1)))
            return ", ".join(str(i) for i in chosen)
        if column.reference or column.code:
            return "%s%d" % (name[:6].upper(), rng.randrange(5))
        if "email" in name or name.endswith("_mail"):
            return "user%d+%s@example.com" % (n, table)
        if "phone" in name or name == "fax":
            return "+1 (555) %03d-%04d" % (rng.randrange(1000), rng.randrange(10000))
        if name == "url" or name.endswith("_sheet"):
            return "https://www.example.com/%s/%d?a=1&b='x'" % (table, n)
        if name == "externalid":
            return "EXT-%s-%06d" % (table[:4], n)
        if name in ("country", "thirdpartycountry"):
            return rng.choice(COUNTRIES)
        if name in ("city", "state", "zip"):
            return {"city": rng.choice(PLACES), "state": rng.choice(STATES), "zip": "%05d" % rng.randrange(99999)}[name]
        if name == "firstname":
            return rng.choice(FIRST)
        if name == "lastname":
            return rng.choice(LAST)
        if name == "companyname":
            return self.firm(rng)
        return self.text(rng)

    # -- rows --------------------------------------------------------------------

    def row(self, table, n, known):
        """A dict of every column; known overrides what would be drawn."""
        rng = random.Random("%s/%d" % (table, n))
        row = {}
        for column in self.account.tables[table].columns.values():
            row[column.name] = known[column.name] if column.name in known else self.value(rng, table, column, n)
        return row

    def make(self, table):
        maker = getattr(self, "make_" + table, None)
        key = self.account.tables[table].key
        if len(key) == 1 and table not in ("accounttype", "transactiontype"):
            ids = wide_ids(table, self.size(table), self.first_id(table))
        else:
            ids = list(range(1, self.size(table) + 1))
        self.ids[table] = ids
        rows, seen = [], set()
        for n, one in enumerate(ids):
            rng = random.Random("known/%s/%d" % (table, n))
            known = {key[0]: one} if len(key) == 1 else {}
            known.update(maker(n, one, rng) if maker else {})
            row = self.row(table, n, known)
            identity = tuple(row[k] for k in key)
            if identity not in seen:
                seen.add(identity)
                rows.append(row)
        self.rows[table] = rows
        if len(key) == 1:
            self.ids[table] = [r[key[0]] for r in rows]
        return rows

    def make_currency(self, n, one, rng):
        name, code, sign = CURRENCIES[n % len(CURRENCIES)]
        return {"name": name, "symbol": code, "displaysymbol": sign, "isbasecurrency": "F" if n else "T",
                "exchangerate": "1" if n == 0 else None if n == 5 else "%.6f" % rng.uniform(0.5, 1.5),
                "currencyprecision": 0 if code == "JPY" else 2, "isinactive": "F"}

    def make_subsidiary(self, n, one, rng):
        name = ["Parent Company", "Müller & Söhne GmbH", "O'Neill Ltd", "日本支社"][n % 4]
        return {"name": name, "fullname": name if n == 0 else "Parent Company : " + name,
                "parent": None if n == 0 else 1, "isinactive": "F", "currency": 1 + n % len(CURRENCIES)}

    def make_location(self, n, one, rng):
        name = "%s %02d" % (PLACES[n % len(PLACES)], n)
        return {"name": name, "fullname": name, "parent": None if n < 4 else n % 4 + 1,
                "isinactive": "T" if n == 9 else "F", "latitude": "%.6f" % rng.uniform(-60, 60)}

    def make_accounttype(self, n, one, rng):
        code, name = ACCOUNT_TYPES[n % len(ACCOUNT_TYPES)]
        return {"id": code, "longname": name, "internalid": n + 1, "seqnum": n + 1}

    def make_account(self, n, one, rng):
        code, name = ACCOUNT_TYPES[n % len(ACCOUNT_TYPES)]
        return {"accttype": code, "acctnumber": "%04d" % (1000 + n * 10), "fullname": "%s %d" % (name, n),
                "acctname": "%s %d" % (name, n), "accountsearchdisplayname": "%04d %s %d" % (1000 + n * 10, name, n),
                "parent": None}

    def make_employee(self, n, one, rng):
        first, last = self.person(rng)
        return {"entityid": "%s %s" % (first, last), "firstname": first, "lastname": last,
                "supervisor": None if n < 3 else self.first_id("employee"), "isinactive": "T" if n % 11 == 10 else "F"}

    def make_vendor(self, n, one, rng):
        known = {"entityid": "V%05d" % n, "isinactive": "T" if n % 13 == 12 else "F", "entitynumber": n}
        if n == 0:
            known["companyname"] = None
        return known

    def make_customer(self, n, one, rng):
        person = n % 5 == 4
        first, last = self.person(rng)
        return {"entityid": "CUST%06d" % n, "isperson": "T" if person else "F",
                "firstname": first if person else None, "lastname": last if person else None,
                "companyname": None if person else self.firm(rng), "isinactive": "T" if n % 17 == 16 else "F",
                "lastmodifieddate": self.moment(rng).isoformat(" ") + "+00",
                "parent": None if n % 6 else self.first_id("customer"),
                "subsidiary": rng.choice(self.ids["subsidiary"])}

    def make_contact(self, n, one, rng):
        first, last = self.person(rng)
        return {"entityid": "%s %s" % (first, last), "firstname": first, "lastname": last,
                "company": rng.choice(self.ids["customer"]) if n % 4 else None}

    def make_item(self, n, one, rng):
        kind = ITEM_TYPES[n % len(ITEM_TYPES)]
        return {"itemid": "%s-%05d" % (rng.choice(THINGS), n), "itemtype": kind, "parent": None,
                "displayname": None if n % 9 == 8 else "%s %s" % (rng.choice(THINGS), self.text(rng)[:80]),
                "isinactive": "T" if n % 15 == 14 else "F", "cost": None if kind == "Kit" else rng.choice(
                    [".5", "-.25", "0", "12.5", "%.2f" % rng.uniform(0, 900)]),
                "lastmodifieddate": self.moment(rng).isoformat(" ") + "+00",
                "custitem_sim_buyer": rng.choice(self.ids["employee"]) if n % 3 else None}

    def make_accountingperiod(self, n, one, rng):
        year, month = 2024 + n // 12, n % 12 + 1
        start = datetime.date(year, month, 1)
        end = (start.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)
        return {"periodname": start.strftime("%b %Y"), "startdate": start.isoformat(), "enddate": end.isoformat(),
                "closed": "T" if n < 24 else "F", "isposting": "T", "parent": None}

    def make_bin(self, n, one, rng):
        return {"binnumber": "A-%02d-%02d" % (n // 10, n % 10)}

    def make_inventorynumber(self, n, one, rng):
        return {"inventorynumber": "LOT%05d" % n}

    def make_transactiontype(self, n, one, rng):
        code = list(TRANSACTION_TYPES)[n % len(TRANSACTION_TYPES)]
        return {"id": code, "name": TRANSACTION_TYPES[code][1]}

    def make_deletedrecord(self, n, one, rng):
        kind, number = [("Customer", -2), ("Inventory Item", -10), ("Sales Order", -30), ("Vendor", -3)][n % 4]
        return {"recordid": one, "recordtypeid": number, "scriptid": None if n % 5 == 4 else
                kind.lower().replace(" ", ""), "type": kind, "deleteddate": self.moment(rng).isoformat(" ") + "+00",
                "iscustomrecord": "F", "iscustomlist": "F", "iscustomtransaction": "F"}

    def make_customfield(self, n, one, rng):
        script_id, table, shown, kind = CUSTOM_FIELDS[n]
        label = {"custitem": "ITEM", "custbody": "BODY", "custcol": "COLUMN", "custentity": "ENTITY"}
        return {"scriptid": script_id.upper(), "fieldvaluetype": shown, "isinactive": "F", "isstored": "T",
                "fieldtype": label[script_id.split("_")[0]], "name": script_id.split("_sim_")[1].replace("_", " "),
                "lastmodifieddate": self.moment(rng).isoformat(" ") + "+00"}

    # -- storing -----------------------------------------------------------------

    def generate(self):
        from ledger import Ledger
        self.sizes["customfield"] = len({f[0] for f in CUSTOM_FIELDS})
        self.sizes["transactiontype"] = len(TRANSACTION_TYPES)
        rest = [t for t in self.account.tables if t not in ORDER and t not in DEPENDENT and t != "dual"]
        for table in ORDER + rest:
            self.make(table)
        Ledger(self).make()
        self.rows["dual"] = [{"dummy": "X"}]

    def store(self, connection):
        with connection.cursor() as cursor:
            for table in self.account.tables.values():
                columns = ", ".join('"%s" %s' % (c.name, STORAGE[c.kind]) for c in table.columns.values())
                cursor.execute('CREATE TABLE netsuite."%s" (%s)' % (table.name, columns))
                cursor.copy_expert('COPY netsuite."%s" FROM STDIN (FORMAT csv)' % table.name,
                                   as_csv(table, self.rows.get(table.name, [])))
            for table in self.account.tables.values():
                if table.key:
                    cursor.execute('CREATE UNIQUE INDEX ON netsuite."%s" (%s)' % (
                        table.name, ", ".join('"%s"' % k for k in table.key)))
                if table.cursor:
                    cursor.execute('CREATE INDEX ON netsuite."%s" ("%s")' % (table.name, table.cursor))
            cursor.execute("CREATE UNIQUE INDEX ON netsuite.transactionline (uniquekey)")
            cursor.execute("ANALYZE")
        connection.commit()


def as_csv(table, rows):
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([row.get(c) for c in table.columns])
    out.seek(0)
    return out
