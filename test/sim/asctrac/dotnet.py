"""JSON and XML as Newtonsoft and .NET write them, and what they make of what they are sent."""

import datetime
import json
import math
import re
from xml.sax.saxutils import escape

from shape import SHAPES

NEVER = datetime.datetime(1, 1, 1)      # DateTime.MinValue
NO_DATE = datetime.datetime(1900, 1, 1)     # how the database says it


class Clock:
    """DateTime.Now: the one kind of time that carries fractions and an offset."""

    def __init__(self, settings):
        self.settings = settings

    def text(self):
        offset = self.settings["utc_offset"]
        sign = -1 if offset.startswith("-") else 1
        hours, minutes = offset.lstrip("+-").split(":")
        zone = datetime.timezone(sign * datetime.timedelta(hours=int(hours), minutes=int(minutes)))
        now = datetime.datetime.now(zone)
        return "%s.%06d7%s" % (now.strftime("%Y-%m-%dT%H:%M:%S"), now.microsecond, offset)


class Raw(str):
    """JSON text put in as it is."""


def number(value):
    """A double: always a point or an exponent, special values quoted."""
    value = float(value)
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    text = repr(value)
    if 1e15 <= abs(value) < 1e16:
        mantissa, exponent = ("%.16e" % value).split("e")
        text = "%sE+%02d" % (mantissa.rstrip("0").rstrip("."), int(exponent))
    return text.upper()


def moment(value):
    return value if isinstance(value, str) else value.isoformat(timespec="seconds")


def string(value):
    return json.dumps(value, ensure_ascii=False)


def cell(kind, value, filled):
    if isinstance(value, Raw):
        return value
    if kind == "s":
        return string("" if filled else None) if value is ABSENT else string(value)
    if value is ABSENT or value is None:
        return {"d": "0.0", "i": "0", "b": "false", "t": '"0001-01-01T00:00:00"', "l": "[]", "n": "null",
                "m": "null"}[kind]
    if kind == "d":
        return number(value)
    if kind == "i":
        return str(int(value))
    if kind == "b":
        return "true" if value else "false"
    if kind == "t":
        return '"%s"' % moment(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


ABSENT = object()


def encode(shape, row):
    """One object of a shape; members that the row lacks are what .NET leaves there."""
    return "{%s}" % ",".join('"%s":%s' % (name, cell(kind, row.get(name, ABSENT), filled))
                             for name, kind, filled in SHAPES[shape])


def encode_all(shape, rows):
    return "[%s]" % ",".join(encode(shape, row) for row in rows)


# -- what comes in -----------------------------------------------------------------

def bind(shape, body):
    """An object as the formatter fills it: names without case, refused values are silently the default."""
    given = {k.lower(): v for k, v in body.items()}
    found = {}
    for name, kind, _ in SHAPES[shape]:
        found[name] = value_of(kind, given[name.lower()]) if name.lower() in given else default(kind)
    return found


def default(kind):
    return {"s": None, "d": 0.0, "i": 0, "b": False, "t": NEVER, "l": [], "m": {}}[kind]


def value_of(kind, value):
    if kind in "lm":
        return value
    if value is None:
        return default(kind)
    try:
        if kind == "s":
            if isinstance(value, (dict, list)):
                return None
            return value if isinstance(value, str) else json.dumps(value)
        if kind == "b":
            return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
        if kind == "t":
            return date_of(value)
        if isinstance(value, (bool, dict, list)):
            return default(kind)
        return float(value) if kind == "d" else int(str(value))
    except (ValueError, KeyError, TypeError):
        return default(kind)


def date_of(text):
    """Z keeps the clock; so, in this simulator, does an offset: its server stands in the site's zone."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?", text)
    if not match:
        raise ValueError(text)
    return datetime.datetime(*(int(part or 0) for part in match.groups()[:6]))


# -- XML -----------------------------------------------------------------------------

def data_set(table, rows, offset):
    """OK and a NewDataSet: rows as elements, null columns absent, dates with an offset."""
    parts = ["OK<NewDataSet>\r\n"]
    for row in rows:
        parts.append("  <%s>\r\n" % table)
        for name, kind, _ in SHAPES[table]:
            value = row.get(name)
            if value is None:
                continue
            if kind == "t":
                value = moment(value) + offset
            elif kind == "d":
                value = ("%.6f" % value).rstrip("0").rstrip(".") if value else "0"
            parts.append("    <%s>%s</%s>\r\n" % (name, xml_text(str(value)), name))
        parts.append("  </%s>\r\n" % table)
    return "".join(parts) + "</NewDataSet>"


def xml_text(text):
    text = escape(text)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\r]", lambda m: "&#x%X;" % ord(m.group()), text)
