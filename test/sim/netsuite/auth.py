"""Who may come in: certificates and tokens of OAuth 2.0, and token-based authentication.

The assertion is checked by PyJWT and cryptography, never by code of makini.
"""

import base64
import datetime
import hashlib
import hmac
import os
import secrets
import threading
import time
import urllib.parse

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ALGORITHMS = {"PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
SCOPES = {"restlets", "rest_webservices", "suite_analytics", "mcp"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"
FIELDS = {"grant_type", "client_assertion_type", "client_assertion"}


class TokenError(Exception):
    def __init__(self, code, reason, status=400):
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.status = status


def make_key(kind):
    if kind.startswith("RSA"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    return ec.generate_private_key({"P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}[kind])


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def make_certificate(key, name, days=(-1, 700), issuer=None, issuer_key=None, hosts=None, authority=False):
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (x509.CertificateBuilder().subject_name(subject)
               .issuer_name(issuer.subject if issuer else subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=days[0]))
               .not_valid_after(now + datetime.timedelta(days=days[1])))
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
    signer = issuer_key or key
    if authority:
        # Python's ssl is strict about authorities from 3.13 on.
        builder = builder.add_extension(x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False), True)
    if issuer:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.sign(signer, hashes.SHA256())


def validity(certificate):
    """From when to when, in UTC; the names changed with cryptography 42."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    utc = datetime.timezone.utc
    return certificate.not_valid_before.replace(tzinfo=utc), certificate.not_valid_after.replace(tzinfo=utc)


class Credentials:
    """The integration record: its client, certificates, token-based keys; and the tokens handed out."""

    def __init__(self, settings):
        self.settings = settings
        self.client_id = secrets.token_hex(32)
        self.consumer_key, self.consumer_secret = secrets.token_hex(32), secrets.token_hex(32)
        self.token_id, self.token_secret = secrets.token_hex(32), secrets.token_hex(32)
        self.certificates = {}
        self.tokens = {}
        self.nonces = set()
        self.lock = threading.Lock()
        self.signing_key = None
        self.issued = 0

    def now(self):
        return time.time() + self.settings["clock_offset"]

    def add_certificate(self, pem, certificate_id=None):
        """Upload a certificate, as in Setup > OAuth 2.0 Client Credentials; returns its id."""
        certificate = x509.load_pem_x509_certificate(pem)
        certificate_id = certificate_id or base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        with self.lock:
            self.certificates[certificate_id] = {"certificate": certificate, "revoked": False}
        return certificate_id

    def write_files(self, folder):
        """Make the client's keys; returns what sim.json says of them."""
        found = {}
        for prefix, kind in (("", "P256"), ("rsa_", "RSA3072"), ("weak_", "RSA2048"), ("expired_", "P256"),
                             ("unknown_", "P256")):
            key = make_key(kind)
            days = (-400, -2) if prefix == "expired_" else (-1, 700)
            pem = make_certificate(key, "makini test client", days).public_bytes(serialization.Encoding.PEM)
            key_file = os.path.join(folder, prefix + "client.key")
            certificate_file = os.path.join(folder, prefix + "client.crt")
            write(key_file, key_pem(key))
            write(certificate_file, pem)
            found[prefix + "private_key_file"] = key_file
            found[prefix + "certificate_file"] = certificate_file
            if prefix != "unknown_":
                found[prefix + "certificate_id"] = self.add_certificate(pem)
            if prefix == "":
                self.signing_key = key
        for name in ("client_id", "consumer_key", "consumer_secret", "token_id", "token_secret"):
            found[name] = getattr(self, name)
        return found

    # -- the token endpoint ------------------------------------------------

    def issue(self, headers, body, url):
        """Answer a token request: the JSON object, or TokenError."""
        if "authorization" in headers:
            raise TokenError("invalid_request", "two ways of client authentication")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise TokenError("invalid_request", "content type %r" % headers.get("content-type"))
        fields = self.form(body)
        if fields.get("grant_type") != "client_credentials":
            raise TokenError("unsupported_grant_type" if fields.get("grant_type") else "invalid_request", "grant_type")
        if fields.get("client_assertion_type") != ASSERTION_TYPE or not fields.get("client_assertion"):
            raise TokenError("invalid_request", "client_assertion")
        if set(fields) != FIELDS:
            raise TokenError("invalid_request", "unexpected fields")
        scope = self.check_assertion(fields["client_assertion"], url)
        return self.grant(scope)

    def form(self, body):
        try:
            pairs = urllib.parse.parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        except ValueError:
            raise TokenError("invalid_request", "the body is not a form")
        if len(pairs) != len(dict(pairs)):
            raise TokenError("invalid_request", "a field appears twice")
        return dict(pairs)

    def check_assertion(self, assertion, url):
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError as problem:
            raise TokenError("invalid_request", "not a JWT: %s" % problem)
        if header.get("alg") not in ALGORITHMS:
            raise TokenError("invalid_grant", "alg %r" % header.get("alg"))
        if header.get("typ") != "JWT":
            raise TokenError("invalid_grant", "typ %r" % header.get("typ"))
        entry = self.certificates.get(header.get("kid"))
        if entry is None:
            raise TokenError("invalid_grant", "kid %r is not mapped" % header.get("kid"))
        key = self.certificate_key(entry, header["alg"])
        try:
            claims = jwt.decode(assertion, key, algorithms=[header["alg"]], audience=url,
                                options={"require": ["iss", "aud", "iat", "exp"], "verify_exp": False,
                                         "verify_iat": False, "verify_nbf": False})
        except jwt.PyJWTError as problem:
            raise TokenError("invalid_grant", "%s: %s" % (type(problem).__name__, problem))
        self.check_times(claims)
        if claims["iss"] != self.client_id:
            raise TokenError("invalid_client", "iss %r" % claims["iss"], 401)
        if claims["aud"] != url:
            raise TokenError("invalid_grant", "aud must be one text, the token URL")
        return self.check_scope(claims.get("scope"))

    def certificate_key(self, entry, algorithm):
        certificate = entry["certificate"]
        now = datetime.datetime.fromtimestamp(self.now(), datetime.timezone.utc)
        starts, ends = validity(certificate)
        if entry["revoked"]:
            raise TokenError("invalid_grant", "certificate is revoked")
        if not starts <= now <= min(ends, starts + datetime.timedelta(days=731)):
            raise TokenError("invalid_grant", "certificate is not valid now")
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            if key.key_size < 3072:
                raise TokenError("invalid_grant", "RSA key of %d bits" % key.key_size)
            if not algorithm.startswith("PS"):
                raise TokenError("invalid_grant", "%s with an RSA key" % algorithm)
        elif CURVES.get(algorithm) != key.curve.name:
            raise TokenError("invalid_grant", "%s with a key on %s" % (algorithm, key.curve.name))
        return key

    def check_times(self, claims):
        iat, exp, now = claims["iat"], claims["exp"], self.now()
        if not all(isinstance(t, int) and not isinstance(t, bool) for t in (iat, exp)):
            raise TokenError("invalid_grant", "iat and exp must be whole seconds")
        if not 0 < exp - iat < 3600:
            raise TokenError("invalid_grant", "exp - iat is %d" % (exp - iat))
        if exp <= now:
            raise TokenError("invalid_grant", "assertion has expired")
        if iat > now + self.settings["allowed_skew"]:
            raise TokenError("invalid_grant", "iat is %d s ahead" % (iat - now))

    def check_scope(self, scope):
        scopes = scope.replace(",", " ").split() if isinstance(scope, str) else scope
        if not isinstance(scopes, list) or not scopes or not all(s in SCOPES for s in scopes):
            raise TokenError("invalid_scope", "scope %r" % (scope,))
        if "mcp" in scopes and len(scopes) > 1:
            raise TokenError("invalid_scope", "mcp can't be combined")
        return scopes

    def grant(self, scopes):
        now = int(self.now())
        life = self.settings["token_life"]
        with self.lock:
            self.issued += 1
            serial = self.issued
        token = jwt.encode({"sub": "4030059;0;3;7;N", "aud": [self.client_id, "app:" + secrets.token_hex(8)],
                            "scope": scopes, "iss": "https://system.netsuite.com", "oit": now, "exp": now + life,
                            "iat": now, "jti": "a.c.%s.%d" % (secrets.token_hex(16), serial), "pad": "x" * 400},
                           self.signing_key, algorithm="ES256", headers={"kid": "s.SYSTEM.2020_1"})
        with self.lock:
            self.tokens[token] = (self.now() + life, scopes)
        expires = str(life) if self.settings["expires_in_text"] else life
        return {"access_token": token, "expires_in": expires, "token_type": self.settings["token_type"]}

    def revoke_tokens(self):
        with self.lock:
            self.tokens.clear()

    # -- requests ------------------------------------------------------------

    def check(self, method, url, headers):
        """(kind of authentication, None) when the request may pass, else (kind, why not)."""
        value = headers.get("authorization")
        if value is None:
            return "none", "no Authorization header"
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "bearer":
            return "bearer", self.check_bearer(rest.strip())
        if scheme.lower() == "oauth":
            return "tba", self.check_tba(method, url, rest)
        return scheme.lower(), "unknown scheme"

    def check_bearer(self, token):
        with self.lock:
            known = self.tokens.get(token)
        if known is None:
            return "unknown token"
        if known[0] <= self.now():
            return "token has expired"
        if "rest_webservices" not in known[1]:
            return "scope"
        return None

    def check_tba(self, method, url, rest):
        given = {}
        for part in rest.split(","):
            name, _, value = part.strip().partition("=")
            if len(value) < 2 or value[0] != '"' or value[-1] != '"' or name in given:
                return "malformed parameter %s" % name
            given[name] = urllib.parse.unquote(value[1:-1])
        if given.pop("realm", None) != self.settings.realm:
            return "realm"
        signature = given.pop("oauth_signature", "")
        wanted = {"oauth_consumer_key": self.consumer_key, "oauth_token": self.token_id,
                  "oauth_signature_method": "HMAC-SHA256"}
        for name, value in wanted.items():
            if given.get(name) != value:
                return name
        if given.get("oauth_version", "1.0") != "1.0":
            return "oauth_version"
        if not given.get("oauth_timestamp", "").isdigit() or abs(int(given["oauth_timestamp"]) - self.now()) > 300:
            return "oauth_timestamp"
        if not hmac.compare_digest(signature, self.signature(method, url, given)):
            return "oauth_signature"
        nonce = (given.get("oauth_timestamp"), given.get("oauth_nonce"))
        with self.lock:
            if not nonce[1] or nonce in self.nonces:
                return "oauth_nonce"
            self.nonces.add(nonce)
        return None

    def signature(self, method, url, oauth):
        parts = urllib.parse.urlsplit(url)
        pairs = urllib.parse.parse_qsl(parts.query, keep_blank_values=True) + list(oauth.items())
        encoded = sorted((encode(n), encode(v)) for n, v in pairs)
        base = "&".join([method.upper(), encode("%s://%s%s" % (parts.scheme, parts.netloc.lower(), parts.path)),
                         encode("&".join("%s=%s" % pair for pair in encoded))])
        key = "%s&%s" % (encode(self.consumer_secret), encode(self.token_secret))
        return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()).decode()


def encode(text):
    return urllib.parse.quote(text, safe="-._~")


def write(path, data):
    """A file that the server of makini, run by another user, can read."""
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o644)
