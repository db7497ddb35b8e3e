"""The control port: JSON over plain HTTP, for tests only.  README.md lists the calls."""

import json
import threading
import urllib.parse

import psycopg2

from auth import make_certificate, make_key
from server import Answer


# Settings that change what a page says.
CHANGES_TEXT = {"time_zone", "date_format", "number_format", "text_compare", "utc_extraction", "json_ascii", "row_cap"}


def numbers(ids):
    """Ids as the columns have them; some tables' are texts."""
    return [int(one) if str(one).lstrip("-").isdigit() else one for one in ids]


class Control:
    def __init__(self, service, cluster, folder):
        self.service = service
        self.cluster = cluster
        self.folder = folder
        self.keys = 0
        self.lock = threading.Lock()

    def handle(self, request, connection):
        parts = request.path.strip("/").split("/")
        name = "%s_%s" % (request.method.lower(), parts[0].replace("-", "_"))
        handler = getattr(self, name, None)
        if handler is None:
            return self.reply(404, {"error": "no %s %s" % (request.method, request.path)})
        try:
            body = json.loads(request.body) if request.body.strip() else {}
            arguments = dict(urllib.parse.parse_qsl(request.query))
            return self.reply(200, handler(body, arguments, parts[1:]))
        except (KeyError, ValueError, TypeError, psycopg2.Error) as problem:
            return self.reply(400, {"error": str(problem).strip()})

    def reply(self, status, body):
        return Answer(status, {"Content-Type": "application/json"}, json.dumps(body, default=str, ensure_ascii=False))

    # -- faults ------------------------------------------------------------------

    def get_fault(self, body, arguments, rest):
        return self.service.faults.describe()

    def post_fault(self, body, arguments, rest):
        return self.service.faults.arm(body).describe()

    def delete_fault(self, body, arguments, rest):
        self.service.faults.clear(int(rest[0]) if rest else None)
        return {}

    def post_recorded(self, body, arguments, rest):
        return self.service.serve_recorded(body["file"]).describe()

    # -- settings and rights -------------------------------------------------------

    def get_setting(self, body, arguments, rest):
        return self.service.settings

    def post_setting(self, body, arguments, rest):
        self.service.settings.change(body)
        if set(body) & CHANGES_TEXT:
            self.service.bench.forget()
        return self.service.settings

    def post_hide(self, body, arguments, rest):
        self.service.engine.account.hide(body["table"], body.get("column"), body.get("kind"))
        self.service.bench.forget()
        return {}

    def post_reset(self, body, arguments, rest):
        """Everything but the data and the credentials, as it was at the start."""
        service = self.service
        service.faults.clear()
        service.settings.change(service.initial_settings)
        service.engine.account.hidden.clear()
        service.log.clear()
        service.bench.forget()
        return {}

    # -- data ------------------------------------------------------------------------

    def post_sql(self, body, arguments, rest):
        """Run SQL on the source; tables are netsuite.<table>, times are UTC instants."""
        sql = body["sql"].replace("account_now()", "to_timestamp(%d)" % self.now())
        rows = self.cluster.run(sql, body.get("params") or None)
        self.service.bench.forget()
        return {"rows": rows}

    def now(self):
        """The account's clock, to the second, as records are stamped."""
        return int(self.service.credentials.now())

    def post_touch(self, body, arguments, rest):
        """Change records as people do: the given columns are set, and the cursor is the account's clock."""
        known = self.service.engine.account.tables[body["table"]]
        values = dict(body.get("set", {}))
        parts = ['"%s" = %%s' % name for name in values]
        if known.cursor:
            parts.append('"%s" = to_timestamp(%d)' % (known.cursor, self.now()))
        self.cluster.run('UPDATE netsuite."%s" SET %s WHERE "%s" = ANY (%%s)' % (
            known.name, ", ".join(parts), known.key[0]), (*values.values(), numbers(body["ids"])))
        self.service.bench.forget()
        return {}

    def post_delete(self, body, arguments, rest):
        """Delete records by id and leave the tombstones that NetSuite leaves, unless told not to."""
        table, ids = body["table"], numbers(body["ids"])
        known = self.service.engine.account.tables[table]
        self.cluster.run('DELETE FROM netsuite."%s" WHERE "%s" = ANY (%%s)' % (table, known.key[0]), (ids,))
        for one in ids if body.get("tombstones", True) else []:
            self.cluster.run(
                "INSERT INTO netsuite.deletedrecord (recordid, recordtypeid, scriptid, type, name, deleteddate) "
                "VALUES (%s, %s, %s, %s, %s, to_timestamp(%s))",
                (one, body.get("recordtypeid", -1), body.get("scriptid", table), body.get("type", table), str(one),
                 self.now()))
        self.service.bench.forget()
        return {"deleted": len(ids)}

    # -- what happened -----------------------------------------------------------------

    def get_log(self, body, arguments, rest):
        return self.service.log.select(int(arguments.get("since", 0)), arguments.get("service"),
                                       int(arguments.get("limit", 1000)))

    def delete_log(self, body, arguments, rest):
        self.service.log.clear()
        return {}

    def get_counter(self, body, arguments, rest):
        log = self.service.log
        with log.lock:
            found = dict(log.counters)
        found.update(in_flight=self.service.in_flight, peak=log.peak, last=log.number,
                     connections=sum(l.connections for l in self.service.listeners))
        return found

    # -- credentials ---------------------------------------------------------------------

    def post_certificate(self, body, arguments, rest):
        credentials = self.service.credentials
        if rest == ["revoke"]:
            credentials.certificates[body["certificate_id"]]["revoked"] = bool(body.get("revoked", True))
            return {}
        return {"certificate_id": credentials.add_certificate(body["pem"].encode(), body.get("certificate_id"))}

    def post_key(self, body, arguments, rest):
        """Make and map one more client key: kind is P256, P384, P521, RSA3072, RSA4096, RSA2048."""
        from cryptography.hazmat.primitives import serialization

        from auth import key_pem, write
        with self.lock:
            self.keys += 1
            stem = "%s/extra_%d" % (self.folder, self.keys)
        key = make_key(body.get("kind", "P256"))
        days = (body.get("from_days", -1), body.get("to_days", 365))
        pem = make_certificate(key, "makini test client", days).public_bytes(serialization.Encoding.PEM)
        write(stem + ".key", key_pem(key))
        write(stem + ".crt", pem)
        return {"private_key_file": stem + ".key", "certificate_file": stem + ".crt",
                "certificate_id": self.service.credentials.add_certificate(pem)}

    def post_token(self, body, arguments, rest):
        """Revoke every access token."""
        self.service.credentials.revoke_tokens()
        return {}

    # -- bench ---------------------------------------------------------------------------

    def post_bench(self, body, arguments, rest):
        """Fill a table, render a query's pages beforehand, or end all that: {"off": true}."""
        bench = self.service.bench
        if body.get("off"):
            bench.enabled = False
            bench.forget()
        if "rows" in body:
            bench.fill(body.get("table", "transaction"), int(body["rows"]))
        if "q" in body:
            return {"ready": bench.warm(body["q"], body.get("params", []))}
        return {}
