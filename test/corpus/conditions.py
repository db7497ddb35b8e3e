"""Conditions: what can be said of a column in SQL, by its type."""

# {c} the column, {v} {w} {x} values that occur in it.  Those that stand for
# values no remote side can say, or for what only PostgreSQL means, are as
# wanted here as the plain ones.
ANY = [
    "{c} IS NULL", "{c} IS NOT NULL", "NOT ({c} IS NULL)", "{c} = {v}", "{v} = {c}", "{c} <> {v}", "NOT ({c} = {v})",
    "NOT ({c} <> {v})", "{c} IN ({v}, {w}, {x})", "{c} NOT IN ({v}, {w})", "{c} IN ({v}, NULL)",
    "{c} NOT IN ({v}, NULL)", "{c} IS DISTINCT FROM {v}", "{c} IS NOT DISTINCT FROM {v}",
    "{c} IS NOT DISTINCT FROM NULL", "{c} = NULL", "coalesce({c}, {v}) = {v}", "nullif({c}, {v}) IS NULL",
    "CASE WHEN {c} = {v} THEN true WHEN {c} IS NULL THEN false END", "({c} = {v}) IS NOT TRUE", "({c} = {v}) IS UNKNOWN",
    "({c} <> {v}) IS TRUE", "({c} = {v}) = ({c} = {w})", "{c} = {v} AND {c} = {w}", "{c} = {v} OR {c} IS NULL",
]

ORDERED = [
    "{c} < {v}", "{c} <= {v}", "{c} > {v}", "{c} >= {v}", "{v} < {c}", "{v} >= {c}", "NOT ({c} < {v})",
    "NOT ({c} >= {v})", "{c} BETWEEN {v} AND {w}", "{c} NOT BETWEEN {v} AND {w}", "{c} BETWEEN SYMMETRIC {v} AND {w}",
    "{c} > {v} AND {c} < {w}", "{c} < {v} OR {c} > {w}", "{c} >= greatest({v}, {w})", "{c} <= least({v}, {w}, {x})",
    "({c} > {v}) IS NOT FALSE",
]

ARRAYS = [
    "{c} = ANY (ARRAY[{v}, {w}])", "{c} = ANY (ARRAY[{v}, NULL])", "{c} <> ALL (ARRAY[{v}, {w}])",
    "{c} <> ANY (ARRAY[{v}, {w}])", "{c} = ANY ((ARRAY[{v}])[1:0])", "{c} <> ALL ((ARRAY[{v}])[1:0])",
    "NOT ({c} = ANY (ARRAY[{v}, {w}]))", "{c} = ALL (ARRAY[{v}, {v}])",
]

BY_KIND = {
    "integer": ANY + ORDERED + ARRAYS + [
        "{c} = {v}::int", "{c} = {v}::int::bigint", "{c} = {v}.0", "{c} > {v} + 0.5", "{c} < {v}::float8 + 0.5",
        "{c} + 1 = {v}", "{c} % 2 = 0", "-{c} < {v}", "abs({c}) = {v}", "{c}::text = '{v}'", "{c}::text LIKE '1%'",
        "{c} > 9223372036854775806", "{c} < -9223372036854775807", "{c} < 9223372036854775808",
        "{c} <> 99999999999999999999", "{c} < 'infinity'::numeric", "{c} > 'NaN'::float8", "{c} IN (1)", "{c} = 0",
        "{c} > -1", "{c}::bigint = {v}", "{c}::numeric = {v}.00", "{c} = (SELECT {v}::bigint)",
        "{c} = 1 + 1", "{c} BETWEEN 10 AND 1",
    ],
    "numeric": ANY + ORDERED + ARRAYS + [
        "{c} = {v} + 0.000", "{c} = 0", "{c} <> 0", "{c} > 1", "{c} < -0.5", "{c} >= 1e3", "{c} = 1e-2", "{c} > 1e30",
        "{c} < 'infinity'", "{c} > '-infinity'", "{c} = 'NaN'", "{c} < 'NaN'", "{c} <> 'NaN'", "{c} = 'infinity'",
        "{c} > {v}::float8", "{c}::float8 = {v}::float8", "{c} = {v}::numeric(12,2)", "round({c}) = {v}",
        "round({c}, 1) > {v}", "trunc({c}) = 0", "{c} * 2 > {v}", "{c} / 2 < {v}", "{c} - {v} = 0", "abs({c}) > {v}",
        "sign({c}) = 1", "{c} > (SELECT avg(1.5))", "{c} BETWEEN 0 AND 100",
        "{c} > 0.00000000000000000001", "scale({c}) >= 0", "{c} < 123456789012345678901234567890.123456789",
    ],
    "text": ANY + ORDERED + ARRAYS + [
        "{c} = ''", "{c} <> ''", "{c} > ''", "{c} IN ('', {v})", "{c} NOT IN ('')", "{c} IS DISTINCT FROM ''",
        "coalesce({c}, '') = ''", "nullif({c}, '') IS NULL", "{c} LIKE {v}", "{c} LIKE substr({v}, 1, 2) || '%'",
        "{c} LIKE '%' || right({v}, 2)", "{c} LIKE 'A%'", "{c} LIKE '%a%'", "{c} LIKE '_a%'", "{c} LIKE '%'",
        "{c} LIKE ''", "{c} NOT LIKE 'A%'", "{c} NOT LIKE '%e%'", "NOT ({c} LIKE '%a%')", "{c} LIKE 'A\\%%'",
        "{c} LIKE '%\\_%'", "{c} LIKE '%!%%' ESCAPE '!'", "{c} LIKE '%\\\\%'", "{c} LIKE '%''%'", "{c} LIKE '%?%'",
        "{c} ILIKE 'a%'", "{c} ILIKE '%A%'", "{c} NOT ILIKE '%E%'", "{c} ILIKE upper({v})", "{c} ILIKE '\u00e4%'",
        "{c} ~ '^[A-M]'", "{c} ~* 'a'", "{c} !~ '[0-9]'", "{c} SIMILAR TO '[A-Z]%'", "starts_with({c}, 'A')",
        "lower({c}) = lower({v})", "upper({c}) = {v}", "length({c}) > 5", "length({c}) = length({v})",
        "{c} || 'x' = {v} || 'x'", "trim({c}) = {v}", "{c} = {v} || ' '", "{c} = upper({v})", "{c} = lower({v})",
        "{c} COLLATE \"C\" < {v}", "{c} COLLATE \"C\" >= 'a'", "{c} COLLATE \"C\" = {v}", "{c} = {v}::varchar",
        "{c} = {v}::varchar(3)", "{c}::varchar(2) = {v}::varchar(2)", "{c} = {v}::char(40)", "{c} = {v}::name",
        "position('a' in {c}) > 0", "md5({c}) > '8'", "{c} = E'it''s \\\\ \"quoted\"'", "{c} = '\u00c4\u00f6\u00fc \u20ac \U0001f600'",
        "{c} IN ('T', 'F')", "{c} = 'null'", "{c} < 'a'", "{c} > 'Z'", "{c} = repeat('x', 3000)",
    ],
    "boolean": [
        "{c}", "NOT {c}", "{c} IS TRUE", "{c} IS NOT TRUE", "{c} IS FALSE", "{c} IS NOT FALSE", "{c} IS UNKNOWN",
        "{c} IS NOT UNKNOWN", "{c} IS NULL", "{c} IS NOT NULL", "{c} = true", "{c} = false", "{c} <> true",
        "{c} <> false", "{c} = NULL", "{c} IN (true)", "{c} IN (true, false)", "{c} NOT IN (true)",
        "{c} IN (false, NULL)", "{c} < true", "{c} >= false", "NOT ({c} IS TRUE)", "NOT (NOT {c})", "{c} AND NOT {c}",
        "{c} OR NOT {c}", "coalesce({c}, true)", "coalesce(NOT {c}, false)", "{c}::int = 1", "{c}::text = 'true'",
        "{c} IS DISTINCT FROM true", "{c} IS NOT DISTINCT FROM false", "CASE WHEN {c} THEN false ELSE true END",
        "{c} = ANY (ARRAY[true, NULL])", "{c} = (1 = 1)", "({c} OR NULL) IS NULL", "({c} AND NULL) IS NULL",
        "bool({c}::text)",
    ],
    "date": ANY + ORDERED + ARRAYS + [
        "{c} < 'infinity'", "{c} > '-infinity'", "{c} = 'infinity'", "{c} <> '-infinity'", "{c} >= 'infinity'",
        "{c} BETWEEN '-infinity' AND 'infinity'", "{c} IN ('infinity', {v})", "{c} <= current_date",
        "{c} > current_date - 365", "{c} < now()", "{c} < now() - interval '1 year'", "{c} = current_date + 40000",
        "{c} + 30 > {v}", "{c} - {v} < 10", "{c} + interval '1 month' > {v}", "{c} < {v}::timestamptz",
        "{c} = {v}::timestamp", "{c} > {v}::timestamp + interval '12 hours'", "{c} >= TIMESTAMPTZ '2026-01-31 12:00+00'",
        "date_trunc('month', {c}) = date_trunc('month', {v})", "extract(year FROM {c}) = 2026",
        "extract(dow FROM {c}) IN (0, 6)", "to_char({c}, 'YYYY-MM') = '2026-03'", "{c}::text = {v}::text",
        "{c} = to_date('2026-02-28', 'YYYY-MM-DD')", "{c} = make_date(2026, 3, 15)", "{c} > DATE '0001-01-01'",
        "{c} < DATE '9999-12-31'", "{c} > DATE '4714-11-24 BC'", "{c} < DATE '12345-01-01'", "age({c}) > interval '2 years'",
        "isfinite({c})", "({c}, {c}) OVERLAPS ({v}, interval '30 days')",
    ],
    "timestamptz": ANY + ORDERED + ARRAYS + [
        "{c} < 'infinity'", "{c} > '-infinity'", "{c} = 'infinity'", "{c} <> 'infinity'", "{c} <= '-infinity'",
        "{c} BETWEEN '-infinity' AND {v}", "{c} IN ('infinity', {v})", "{c} <= now()", "{c} > now() - interval '90 days'",
        "{c} > current_date", "{c} < current_timestamp - interval '1 year'", "{c} > now() - interval '100 years'",
        "{c} = {v} + interval '1 microsecond'", "{c} >= {v} + interval '1 microsecond'", "{c} > {v} - interval '0.5 s'",
        "{c} <= {v} - interval '1 microsecond'", "{c} < {v} + interval '999 ms'", "{c} = {v} AT TIME ZONE 'UTC'",
        "{c} > '2026-03-08 02:30:00 America/New_York'", "{c} >= '2025-11-02 01:30:00 America/Los_Angeles'",
        "{c} < '2026-01-31 23:59:59.999999+05:30'", "{c} >= '2026-02-01'", "{c} < DATE '2026-02-01'",
        "{c} >= TIMESTAMP '2026-01-31 12:00'", "{c}::date = {v}::date", "({c} AT TIME ZONE 'UTC')::date > DATE '2026-01-31'",
        "date_trunc('day', {c}) = date_trunc('day', {v})", "date_trunc('hour', {c}, 'Asia/Kolkata') <= {v}",
        "extract(hour FROM {c}) < 12", "extract(epoch FROM {c}) > 1750000000", "{c} + interval '1 day' > {v}",
        "{c} - {v} < interval '2 days'", "to_char({c}, 'YYYY-MM-DD') > '2026-01-01'", "{c}::text > '2026'",
        "{c} > to_timestamp(1750000000)", "{c} > make_timestamptz(2026, 1, 31, 12, 0, 0.5, 'UTC')",
        "{c} > TIMESTAMPTZ '0001-01-01 00:00+00'", "{c} < TIMESTAMPTZ '9999-12-31 23:59:59+00'",
        "{c} > TIMESTAMPTZ '4713-01-01 00:00+00 BC'", "{c} < TIMESTAMPTZ '20000-01-01 00:00+00'", "isfinite({c})",
        "age({c}) > interval '2 years'",
    ],
}


def fill(template, column, rng):
    values = [rng.choice(column.samples) for _ in range(3)]
    numbers = values
    if "{v}." in template or "'{v}'" in template:
        numbers = [value.strip("()") for value in values]
    text = template.replace("{c}", column.name)
    return text.replace("{v}", numbers[0]).replace("{w}", numbers[1]).replace("{x}", numbers[2])


def condition(column, rng):
    return fill(rng.choice(BY_KIND[column.kind]), column, rng)


def combined(columns, rng, depth):
    """Conditions joined by AND, OR and NOT."""
    if depth == 0 or rng.random() < 0.15:
        return "(%s)" % condition(rng.choice(columns), rng)
    inner = [combined(columns, rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
    text = "(%s)" % rng.choice([" AND ", " OR "]).join(inner)
    return "NOT " + text if rng.random() < 0.25 else text
