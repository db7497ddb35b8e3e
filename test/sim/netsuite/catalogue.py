"""The tables of the simulated account, read from the project's own catalogue.

src/connector/netsuite/catalogue*.def hold one macro call per entity and
column; they are parsed here, so that a table added to the catalogue exists in
the simulator too.  Custom fields are added by data.py as ordinary columns.
"""

import glob
import os
import re

KINDS = {
    "TEXT": "text", "INTEGER": "integer", "NUMERIC": "number", "BOOLEAN": "boolean",
    "DATE": "date", "TIMESTAMPTZ": "datetime", "TIMESTAMP": "datetime", "OTHER": "text",
}

STORAGE = {
    "text": "text", "integer": "numeric", "number": "numeric", "boolean": "text",
    "date": "timestamp(0) without time zone", "datetime": "timestamp(0) with time zone",
}


class Column:
    def __init__(self, name, kind, required=False, reference=False, code=False, target=None):
        self.name = name
        self.kind = kind
        self.required = required
        self.reference = reference
        self.code = code
        self.target = target    # (table, column) it refers to, or None


class Table:
    def __init__(self, name, key, cursor=None):
        self.name = name
        self.key = key
        self.cursor = cursor
        self.columns = {}

    def add(self, column):
        self.columns[column.name] = column


def default_folder():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.normpath(os.path.join(here, "..", "..", "..", "src", "connector", "netsuite"))


TABLE = re.compile(r'^TABLE\((\w+), "([^"]*)", (?:NULL|"(\w+)"), ')
COLUMN = re.compile(r'^\s*COLUMN\((\w+), (\w+), ([\w| ]+), (?:NULL|"(.*)")\)')
TARGET = re.compile(r"(\w+)\.(\w+)\b")


def load(folder=None):
    """{table name: Table}; one entry per line, as catalogue.c promises."""
    tables = {}
    for path in sorted(glob.glob(os.path.join(folder or default_folder(), "catalogue_*.def"))):
        with open(path, encoding="utf-8") as file:
            for line in file:
                entry(line, tables)
    if not tables:
        raise RuntimeError("no catalogue_*.def found")
    return tables


def entry(line, tables):
    found = TABLE.match(line)
    if found:
        table = Table(found.group(1), found.group(2).split(","), found.group(3))
        tables[table.name] = table
        return
    found = COLUMN.match(line)
    if found:
        flags = [f.strip() for f in found.group(3).split("|")]
        table = tables[list(tables)[-1]]
        table.add(Column(found.group(1), KINDS[found.group(2)], "REQUIRED" in flags, "REFERENCE" in flags,
                         "CODE" in flags, target(found.group(4) or "")))
    elif "(" in line and not line.lstrip().startswith(("/*", "*")):
        raise RuntimeError("catalogue line not understood: " + line)


def target(comment):
    """References say in their comment what they refer to: "employee.id"."""
    found = TARGET.match(comment)
    return found.groups() if found else None
