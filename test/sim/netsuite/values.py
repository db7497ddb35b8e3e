"""Typed SQL fragments, and the reading of literals and dates as NetSuite reads them."""

import datetime
import re
from decimal import Decimal, InvalidOperation

from gate import Refused


class Expr:
    """A fragment of PostgreSQL and its SuiteQL type.

    type: number, text, date (also a TIMESTAMP without zone), datetime (a
    stored instant, seen as local wall clock), literal (a string constant or
    bound parameter, not yet converted: see value), null.
    """

    def __init__(self, sql, kind, value=None, column=None, table=None, alias=None):
        self.sql = sql
        self.type = kind
        self.value = value
        self.column = column
        self.table = table
        self.alias = alias

    def renamed(self, sql):
        return Expr(sql, self.type, self.value, self.column, self.table, None)


NULL = Expr("NULL", "null")


def quote(text):
    if "\0" in text:
        raise Refused("NUL in a value")
    return "'" + text.replace("'", "''") + "'"


def literal(text):
    """A string constant; the empty string is NULL."""
    return Expr("%s::text" % quote(text), "literal", value=text) if text else NULL


def number_literal(text):
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise Refused("%r is not a number" % text)
    if not value.is_finite():
        raise Refused("%r is not a number" % text)
    return Expr("%s::numeric" % quote(format(value, "f")), "number")


def timestamp_literal(value):
    return Expr("timestamp '%s'" % value.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0"), "date")


# -- the user's date preference ---------------------------------------------

USER_FORMATS = {
    "M/D/YYYY": "FMMM/FMDD/YYYY", "D/M/YYYY": "FMDD/FMMM/YYYY", "D.M.YYYY": "FMDD.FMMM.YYYY",
    "DD/MM/YYYY": "DD/MM/YYYY", "MM/DD/YYYY": "MM/DD/YYYY", "YYYY-MM-DD": "YYYY-MM-DD",
    "DD-Mon-YYYY": "DD-Mon-YYYY", "DD.MM.YYYY": "DD.MM.YYYY",
}


def user_date(sql, settings):
    """A date or datetime selected bare: the user's preference, time of day lost."""
    return "to_char(%s, '%s')" % (sql, USER_FORMATS[settings["date_format"]])


def parse_user_date(text, settings):
    chosen = settings["date_format"]
    pattern = chosen.replace("YYYY", "%Y").replace("Mon", "%b").replace("MM", "%m").replace("DD", "%d")
    pattern = re.sub(r"(?<!%)M", "%m", pattern)
    pattern = re.sub(r"(?<!%)D", "%d", pattern)
    try:
        return timestamp_literal(datetime.datetime.strptime(text, pattern))
    except ValueError:
        shown = chosen.replace("YYYY", "yyyy").replace("D", "d")
        raise Refused("%r is no date in the user's format" % text,
                      'Parse of date/time "%s" failed with date format "%s" in time zone %s'
                      % (text, shown, settings["time_zone"]))


# -- Oracle date formats -----------------------------------------------------

ELEMENTS = ("YYYY", "HH24", "HH12", "SSSSS", "MONTH", "MON", "DDD", "DAY", "RRRR", "FF9", "FF6", "FF3", "FF", "TZH",
            "TZM", "MI", "MM", "DD", "DY", "HH", "SS", "AM", "PM", "IW", "WW", "YY", "Q", "D")

TO_PG = {"FF9": "US000", "FF6": "US", "FF3": "MS", "FF": "US", "RRRR": "YYYY", "DAY": "DAY", "MON": "MON"}

READ = {
    "YYYY": r"(?P<year>\d{4})", "RRRR": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{1,2})", "DD": r"(?P<day>\d{1,2})",
    "HH24": r"(?P<hour>\d{1,2})", "MI": r"(?P<minute>\d{1,2})", "SS": r"(?P<second>\d{1,2})",
    "FF9": r"(?P<fraction>\d{1,9})", "FF6": r"(?P<fraction>\d{1,6})", "FF3": r"(?P<fraction>\d{1,3})",
    "FF": r"(?P<fraction>\d{1,9})", "TZH": r"(?P<tzh>[+-]\d{2})", "TZM": r"(?P<tzm>\d{2})",
}


def format_elements(text):
    """[(kind, text)]: kind is element, quoted or mark; refuses what Oracle has not."""
    found = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = text.find('"', at + 1)
            if end < 0:
                raise Refused("format %r: quote not closed" % text)
            found.append(("quoted", text[at + 1:end]))
            at = end + 1
            continue
        for element in ELEMENTS:
            if text[at:at + len(element)].upper() == element:
                found.append(("element", element))
                at += len(element)
                break
        else:
            if text[at].isalnum():
                raise Refused("format %r: unknown element at %d" % (text, at))
            found.append(("mark", text[at]))
            at += 1
    return found


def format_to_pg(text):
    """An Oracle date format as PostgreSQL's to_char takes it."""
    parts = []
    for kind, part in format_elements(text):
        if kind == "element":
            parts.append(TO_PG.get(part, part))
        elif kind == "quoted" and part:
            parts.append('"%s"' % part.replace("\\", "\\\\"))
        elif kind == "mark":
            parts.append(part)
    return "".join(parts)


def read_timestamp(text, form):
    """TO_DATE and TO_TIMESTAMP of a constant: (datetime, offset in minutes or None)."""
    pattern = ""
    for kind, part in format_elements(form):
        if kind == "element":
            if part not in READ:
                raise Refused("format element %s is not modelled for reading" % part)
            pattern += READ[part]
        else:
            pattern += re.escape(part)
    match = re.fullmatch(pattern, text)
    if not match:
        raise Refused("%r does not match the format %r" % (text, form))
    got = match.groupdict()
    today = datetime.date.today()
    try:
        value = datetime.datetime(int(got.get("year") or today.year), int(got.get("month") or today.month),
                                  int(got.get("day") or 1), int(got.get("hour") or 0), int(got.get("minute") or 0),
                                  int(got.get("second") or 0), int((got.get("fraction") or "0").ljust(6, "0")[:6]))
    except ValueError as problem:
        raise Refused("%r: %s" % (text, problem))
    offset = None
    if got.get("tzh"):
        minutes = int(got["tzh"][1:]) * 60 + int(got.get("tzm") or 0)
        offset = -minutes if got["tzh"][0] == "-" else minutes
    return value, offset
