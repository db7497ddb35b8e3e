"""Verifies assertions with PyJWT for test_jwt.c.

Reads one JSON object a line: algorithm, certificate, assertion.  Ends with 0
when each is accepted as it is and refused when changed.
"""
import json
import sys

import jwt
from cryptography.x509 import load_pem_x509_certificate

AUDIENCE = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"


def changed(assertion):
    """The same with one character of the signature changed."""
    at = assertion.rindex(".") + 5
    other = "A" if assertion[at] != "A" else "B"
    return assertion[:at] + other + assertion[at + 1:]


def decode(line, assertion):
    key = load_pem_x509_certificate(line["certificate"].encode()).public_key()
    return jwt.decode(assertion, key, algorithms=[line["algorithm"]], audience=AUDIENCE,
                      options={"require": ["iss", "aud", "iat", "exp"]})


def check(line):
    claims = decode(line, line["assertion"])
    assert claims["iss"] == "client-1", claims
    assert claims["scope"] == ["rest_webservices", "restlets"], claims
    assert claims["exp"] - claims["iat"] == 300, claims
    try:
        decode(line, changed(line["assertion"]))
    except jwt.InvalidSignatureError:
        return
    raise AssertionError(line["algorithm"] + ": a changed signature was accepted")


lines = [json.loads(text) for text in sys.stdin]
for each in lines:
    check(each)
sys.exit(0 if len(lines) == 6 else 1)
