"""What of the simulated account can be switched, and its defaults."""

from switchable import Switchable

DEFAULTS = {
    "account_id": "1234567_SB1",
    "time_zone": "America/Los_Angeles",
    "date_format": "M/D/YYYY",          # see values.USER_FORMATS
    "number_format": "plain",           # plain 0.5, oracle .5, java 1E-7 for tiny ones
    "text_compare": "binary",           # or insensitive: = and LIKE without regard to case
    "utc_extraction": True,             # false: SYS_EXTRACT_UTC is refused
    "lenient": [],                      # of nulls_order, like_escape: unverified syntax to take
    "token_life": 3600,                 # seconds an access token is good for
    "token_type": "Bearer",
    "expires_in_text": False,           # expires_in as a JSON string
    "concurrency_limit": 5,             # requests at once in the whole account; 0: none
    "retry_after": None,                # value of Retry-After on the limit's own 429
    "latency_ms": 0,                    # added to every SuiteQL answer
    "token_latency_ms": 0,              # added to every token answer
    "gzip": True,                       # where the client asks for it
    "chunked": False,                   # transfer encoding of every answer
    "json_ascii": False,                # escape everything outside ASCII
    "query_timeout_ms": 0,              # the 15-minute cut, scaled; 0: none
    "row_cap": 100000,                  # rows that one query text can reach
    "administrator": False,             # may ask for governanceLimits
    "language": None,                   # when set: Accept-Language must begin with it
    "allowed_skew": 60,                 # seconds a token request's clock may be ahead
    "clock_offset": 0,                  # seconds the simulated account's clock is off
    "close_on_error": False,            # Connection: close on 4xx
    "require_tls": False,               # refuse the plain port
    "announce": {},                     # headers of answers: {regex of paths: {name: value, or a list of them}}
}


class Settings(Switchable):
    defaults = DEFAULTS

    @property
    def host_account(self):
        """The account as it stands in host names."""
        return self["account_id"].lower().replace("_", "-")

    @property
    def realm(self):
        return self["account_id"].upper().replace("-", "_")
