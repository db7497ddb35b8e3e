"""The tables of the corpus: columns chosen for their types, and values that
their rows really have."""

import random

# Key columns first; they make an order total.
CHOSEN = {
    "item": ("id", ["itemid", "displayname", "itemtype", "isinactive", "parent", "averagecost", "cost", "createddate",
                    "lastmodifieddate", "subsidiary", "weight", "leadtime", "upccode", "isfulfillable", "class",
                    "lastinvtcountdate"]),
    "customer": ("id", ["entityid", "companyname", "email", "isinactive", "isperson", "parent", "creditlimit",
                        "currency", "datecreated", "lastmodifieddate", "firstorderdate", "salesrep", "terms",
                        "comments"]),
    "transaction": ("id", ["tranid", "type", "status", "trandate", "entity", "currency", "exchangerate",
                           "foreigntotal", "posting", "voided", "createddate", "lastmodifieddate", "duedate", "memo",
                           "postingperiod", "otherrefnum"]),
    "transactionline": ("transaction id", ["uniquekey", "item", "location", "quantity", "rate", "netamount",
                                           "foreignamount", "mainline", "taxline", "iscogs", "linelastmodifieddate",
                                           "memo", "itemtype", "expectedshipdate", "quantityshiprecv"]),
    "aggregateitemlocation": ("item location", ["quantityonhand", "quantityavailable", "quantitycommitted",
                                                "reorderpoint", "leadtime", "lastquantityavailablechange",
                                                "averagecostmli", "costaccountingstatus"]),
    "inventorybalance": ("item location binnumber inventorynumber inventorystatus",
                         ["quantityonhand", "quantityavailable", "quantitypicked", "createddate",
                          "lastmodifieddate"]),
    "account": ("id", ["acctnumber", "accttype", "fullname", "currency", "parent", "isinactive", "issummary",
                       "lastmodifieddate", "subsidiary", "description"]),
    "accounttype": ("id", ["longname", "balancesheet", "left", "seqnum", "internalid",
                           "usercanchangerevaloption"]),
    "deletedrecord": ("recordid recordtypeid scriptid", ["type", "name", "deleteddate", "deletedby", "context",
                                                         "iscustomrecord"]),
    "location": ("id", ["name", "parent", "isinactive", "latitude", "longitude", "subsidiary", "locationtype",
                        "makeinventoryavailable", "lastmodifieddate"]),
    "systemnote": ("id", ["date", "field", "oldvalue", "newvalue", "recordid", "type"]),
}

KINDS = {"int8": "integer", "int4": "integer", "numeric": "numeric", "text": "text", "bool": "boolean", "date": "date",
         "timestamptz": "timestamptz"}

RESERVED = {"left", "type", "date", "class", "location", "transaction"}


def quoted(name):
    return '"%s"' % name if name in RESERVED else name


class Column:
    def __init__(self, name, kind, samples):
        self.name = name            # as it stands in a query
        self.kind = kind
        self.samples = samples      # SQL literals, never none of them

    def of(self, alias):
        """The same column of a table that goes by an alias."""
        return Column("%s.%s" % (alias, self.name), self.kind, self.samples)


class Table:
    def __init__(self, name, key, columns):
        self.name = quoted(name)
        self.key = [quoted(column) for column in key]
        self.columns = columns

    def column(self, name):
        return next(column for column in self.columns if column.name == quoted(name))

    def of_kind(self, *kinds):
        return [column for column in self.columns if column.kind in kinds]


NOTHING_KNOWN = {"integer": ["1"], "numeric": ["1.5"], "text": ["'x'"], "boolean": ["true"],
                 "date": ["DATE '2026-01-31'"], "timestamptz": ["TIMESTAMPTZ '2026-01-31 12:00:00+00'"]}


def literal(kind, text):
    escaped = text.replace("'", "''")
    if kind in ("integer", "numeric"):
        return text if not text.startswith("-") else "(%s)" % text
    if kind == "boolean":
        return text
    if kind == "text":
        return "'%s'" % escaped
    return "%s '%s'" % (kind.upper(), escaped)


def sample(cursor, table, column, kind):
    """Some values of a column, the least and the greatest among them."""
    cursor.execute('SELECT DISTINCT {c}::text, md5({c}::text) FROM local.{t} WHERE {c} IS NOT NULL'
                   ' ORDER BY 2 LIMIT 8'.format(c=quoted(column), t=quoted(table)))
    texts = [row[0] for row in cursor.fetchall() if len(row[0]) <= 200]
    if kind not in ("boolean", "text"):
        cursor.execute('SELECT min({c})::text, max({c})::text FROM local.{t}'.format(c=quoted(column),
                                                                                     t=quoted(table)))
        texts += [text for text in cursor.fetchone() if text is not None]
    return [literal(kind, text) for text in texts] or NOTHING_KNOWN[kind]


def read_tables(cursor):
    """The tables as they stand in the schema local."""
    tables = {}
    cursor.execute("SET TimeZone = 'UTC'")
    for name, (key, others) in CHOSEN.items():
        columns = []
        for column in key.split() + others:
            cursor.execute("SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
                           " WHERE a.attrelid = %s::regclass AND a.attname = %s", ("local." + quoted(name), column))
            kind = KINDS[cursor.fetchone()[0]]
            columns.append(Column(quoted(column), kind, sample(cursor, name, column, kind)))
        tables[name] = Table(name, key.split(), columns)
    return tables


SEED = "corpus"


def dice(section):
    return random.Random("%s/%s" % (SEED, section))
