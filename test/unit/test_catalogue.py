#!/usr/bin/python3
"""The built-in catalogue of NetSuite: well-formed, and equal to the research
it was made from where that is at hand."""

import collections
import json
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "src", "connector", "netsuite")
RESEARCH = os.path.join(ROOT, "..", "shared", "research", "netsuite-entities.json")
DEFS = ["transaction", "item", "inventory", "entity", "finance", "system"]

KINDS = {"bigint": "INTEGER", "integer": "INTEGER", "numeric": "NUMERIC", "boolean": "BOOLEAN",
         "text": "TEXT", "date": "DATE", "timestamptz": "TIMESTAMPTZ"}
FLAGS = ["REQUIRED", "REFERENCE", "CODE", "COSTLY"]

# Key parts that the research itself describes as absent in some rows, or is
# unsure of.
MAYBE_NULL = {("inventorybalance", "binnumber"), ("inventorybalance", "inventorynumber"),
              ("inventorybalance", "inventorystatus"), ("itemvendor", "subsidiary"),
              ("itemprice", "quantity"), ("deletedrecord", "scriptid")}

TEXT = r'(NULL|"(?:[^"\\]|\\.)*")'
TABLE = re.compile(r'TABLE\((\w+), ("[\w,]+"), %s, %s, (TINY|SMALL|MEDIUM|LARGE|HUGE), %s\)$'
                   % (TEXT, TEXT, TEXT))
COLUMN = re.compile(r'\tCOLUMN\((\w+), (\w+), (0|[A-Z]+(?: \| [A-Z]+)*), %s\)$' % TEXT)

TRAITS = re.compile(r'TRAITS\((\w+), (TOMBSTONE|WITH_PARENT|FULL_PASS|NEVER), (DOCUMENT|MASTER), %s, %s, %s\)$'
                    % (TEXT, TEXT, TEXT))

Table = collections.namedtuple("Table", "name key cursor record_type size comment columns")
Column = collections.namedtuple("Column", "name kind flags comment")
Traits = collections.namedtuple("Traits", "table deletes kind parent parent_column full_every")


def text(token):
    return None if token == "NULL" else token[1:-1].replace('\\"', '"')


def read_traits():
    """The lines of traits.def, in the form that it describes itself."""
    with open(os.path.join(FOLDER, "traits.def"), encoding="ascii") as lines:
        found = [TRAITS.match(line.rstrip()) or line for line in lines if line.startswith("TRAITS(")]
    return [Traits(line[1], line[2], line[3], text(line[4]), text(line[5]), text(line[6])) for line in found]


def read_file(name):
    """The tables of a .def file, in the form that catalogue.c describes."""
    tables = []
    table = None
    with open(os.path.join(FOLDER, "catalogue_%s.def" % name), encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            place = "catalogue_%s.def:%d: %s" % (name, number, line)
            if line == "" or line.startswith("/*"):
                continue
            if table is None:
                found = TABLE.match(line)
                assert found, place
                table = Table(found[1], text(found[2]).split(","), text(found[3]), text(found[4]),
                              found[5], text(found[6]), [])
            elif line == "END":
                tables.append(table)
                table = None
            else:
                found = COLUMN.match(line)
                assert found, place
                flags = [] if found[3] == "0" else found[3].split(" | ")
                table.columns.append(Column(found[1], found[2], flags, text(found[4])))
    assert table is None, name
    return tables


class Catalogue(unittest.TestCase):
    def setUp(self):
        self.tables = [table for name in DEFS for table in read_file(name)]
        self.columns = [(table, column) for table in self.tables for column in table.columns]

    def test_no_table_twice(self):
        names = [table.name for table in self.tables]
        self.assertEqual(len(names), len(set(names)))

    def test_no_column_twice(self):
        for table in self.tables:
            names = [column.name for column in table.columns]
            self.assertEqual(len(names), len(set(names)), table.name)

    def test_names_are_lower_case_ascii(self):
        for table, column in self.columns:
            self.assertRegex(table.name, "^[a-z][a-z0-9]*$")
            self.assertRegex(column.name, "^[a-z][a-z0-9]*$", table.name)

    def test_keys_and_cursors_are_columns(self):
        for table in self.tables:
            columns = {column.name: column for column in table.columns}
            self.assertTrue(table.key, table.name)
            for name in table.key:
                self.assertIn(name, columns, table.name)
            if table.cursor is not None:
                self.assertIn(table.cursor, columns, table.name)
                self.assertEqual(columns[table.cursor].kind, "TIMESTAMPTZ", table.name)

    def test_kinds_and_flags_are_known(self):
        for table, column in self.columns:
            where = "%s.%s" % (table.name, column.name)
            self.assertIn(column.kind, KINDS.values(), where)
            self.assertEqual(column.flags, [flag for flag in FLAGS if flag in column.flags], where)

    def test_flags_make_sense(self):
        for table, column in self.columns:
            where = "%s.%s" % (table.name, column.name)
            if "CODE" in column.flags:
                self.assertEqual(column.kind, "TEXT", where)
            if "REFERENCE" in column.flags:
                self.assertIn(column.kind, ("INTEGER", "TEXT"), where)
            if "COSTLY" in column.flags:
                self.assertNotIn(column.name, table.key + [table.cursor], where)

    def test_required_means_key_that_is_never_null(self):
        for table, column in self.columns:
            expected = column.name in table.key and (table.name, column.name) not in MAYBE_NULL
            self.assertEqual("REQUIRED" in column.flags, expected,
                             "%s.%s" % (table.name, column.name))

    def test_every_table_has_a_comment(self):
        for table in self.tables:
            self.assertTrue(table.comment, table.name)

    def test_comments_are_plain(self):
        for table, column in self.columns:
            for comment in (table.comment, column.comment):
                if comment is not None:
                    self.assertRegex(comment, r"^\S(.*[^\s.])?$", "%s.%s" % (table.name, column.name))

    def test_every_file_is_read(self):
        names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".def"))
        self.assertEqual(names, sorted(["catalogue_%s.def" % name for name in DEFS] + ["traits.def"]))


class TraitsOfTables(unittest.TestCase):
    """What syncs are told of the tables."""

    @classmethod
    def setUpClass(cls):
        cls.tables = {table.name: table for name in DEFS for table in read_file(name)}
        cls.traits = read_traits()

    def columns(self, table):
        return {column.name: column for column in self.tables[table].columns}

    def test_every_table_once(self):
        self.assertEqual(sorted(traits.table for traits in self.traits), sorted(self.tables))

    def test_parents_tell_what_changed(self):
        for traits in self.traits:
            self.assertEqual(traits.deletes == "WITH_PARENT", traits.parent is not None, traits.table)
            self.assertEqual(traits.parent is None, traits.parent_column is None, traits.table)
            if traits.parent is None:
                continue
            parent = self.tables[traits.parent]
            self.assertIsNotNone(parent.cursor, traits.table)
            self.assertEqual(len(parent.key), 1, traits.table)
            self.assertEqual(self.columns(traits.table)[traits.parent_column].kind,
                             self.columns(parent.name)[parent.key[0]].kind, traits.table)

    def test_tombstones_name_a_number(self):
        for traits in self.traits:
            if traits.deletes == "TOMBSTONE":
                table = self.tables[traits.table]
                self.assertEqual([self.columns(table.name)[key].kind for key in table.key], ["INTEGER"], table.name)
                self.assertIsNotNone(table.cursor, table.name)

    def test_full_passes(self):
        """None are asked for where every run is one, and some where nothing else tells of deletes."""
        for traits in self.traits:
            changes = self.tables[traits.table].cursor or traits.parent
            if not changes:
                self.assertIsNone(traits.full_every, traits.table)
            elif traits.deletes == "FULL_PASS":
                self.assertIsNotNone(traits.full_every, traits.table)
            if traits.full_every is not None:
                self.assertRegex(traits.full_every, r"^\d+ days?$", traits.table)


@unittest.skipUnless(os.path.exists(RESEARCH), "the research is not at hand")
class Research(unittest.TestCase):
    def setUp(self):
        self.tables = {table.name: table for name in DEFS for table in read_file(name)}
        with open(RESEARCH, encoding="utf-8") as source:
            self.research = json.load(source)

    def test_same_tables(self):
        self.assertEqual(sorted(self.tables), sorted(entity["entity"] for entity in self.research))

    def test_same_columns_and_kinds(self):
        for entity in self.research:
            self.assertEqual([(column.name, column.kind)
                              for column in self.tables[entity["entity"]].columns],
                             [(column["name"], KINDS[column["pg_type"]])
                              for column in entity["columns"]], entity["entity"])

    def test_same_keys_cursors_and_sizes(self):
        for entity in self.research:
            table = self.tables[entity["entity"]]
            self.assertEqual((table.key, table.cursor, table.size),
                             (entity["key"], entity["watermark"], entity["size_class"].upper()),
                             entity["entity"])

    def test_required_is_not_null_there_too(self):
        for entity in self.research:
            required = {column.name for column in self.tables[entity["entity"]].columns
                        if "REQUIRED" in column.flags}
            self.assertLessEqual(required, {column["name"] for column in entity["columns"]
                                            if not column["nullable"]}, entity["entity"])


if __name__ == "__main__":
    unittest.main()
