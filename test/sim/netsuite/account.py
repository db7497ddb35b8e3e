"""The simulated account: its tables, who may see what of them, and what select lists show."""

import threading

from catalogue import Column, Table, load
from gate import Refused

UNEXPECTED = "An unexpected error occurred. Error ID: "

NAMES = ("name", "entityid", "itemid", "binnumber", "inventorynumber", "trandisplayname", "periodname",
         "accountsearchdisplayname", "longname", "addressee", "shipmentnumber", "description")

HIDDEN = {
    "unknown": "Unknown identifier",
    "not_exposed": "Field '%s' for record '%s' was not found. Reason: NOT_EXPOSED - Not available for channel SEARCH",
}


class Account:
    def __init__(self, folder=None):
        self.tables = load(folder)
        self.tables["dual"] = Table("dual", [])
        self.tables["dual"].add(Column("dummy", "text"))
        self.lock = threading.Lock()
        self.hidden = {}

    def table(self, name):
        return self.tables.get(name)

    # -- rights: {(table, column or None): kind} ----------------------------

    def hide(self, table, column, kind):
        """kind: record, unsupported, type (tables); unknown, not_exposed, 400, 500 (columns); None shows again."""
        with self.lock:
            if kind is None:
                self.hidden.pop((table, column), None)
            else:
                self.hidden[table, column] = kind

    def check_table(self, name):
        kind = self.hidden.get((name, None))
        if kind == "record":
            raise Refused("hidden table", "Record '%s' was not found." % name)
        if kind == "unsupported":
            raise Refused("hidden table")
        if kind == "type":
            raise Refused("hidden table", "Invalid search type: %s." % name)

    def hidden_column(self, table, column):
        return (table, column) in self.hidden

    def check_column(self, table, column, unknown):
        kind = str(self.hidden.get((table, column)))
        if kind == "unknown":
            raise unknown()
        if kind == "not_exposed":
            raise Refused("hidden column", HIDDEN[kind] % (column, table))
        if kind == "400":
            raise Refused("poison column")
        if kind == "500":
            raise Refused("poison column", status=500)

    # -- display texts -------------------------------------------------------

    def display_target(self, table, column):
        """(table, key, shown column) behind BUILTIN.DF; (None, None, word) for lists without a table; None: itself."""
        if column.target:
            table, key = column.target
            for shown in NAMES:
                if shown in self.tables[table].columns:
                    return table, key, shown
        if column.reference:
            return None, None, column.name.capitalize()
        return None
