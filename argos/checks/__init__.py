"""What Argos can check: the list of checks, in the order of registration."""

from argos.checks.base import (
    BaseCheck,
    Facts,
    FinalizeRules,
    Thresholds,
    Verdict,
    get_registered_check,
    get_registered_checks,
)
from argos.errors import CheckNotFound

# isort: off
from argos.checks.status import HTTPStatus, HTTPStatusIn
from argos.checks.redirect import HTTPToHTTPS
from argos.checks.headers import HTTPHeadersContain, HTTPHeadersHave, HTTPHeadersLike
from argos.checks.body import HTTPBodyContains, HTTPBodyLike
from argos.checks.json_body import (
    HTTPJsonContains,
    HTTPJsonHas,
    HTTPJsonIs,
    HTTPJsonLike,
)
from argos.checks.certificate import SSLCertificateExpiration
from argos.checks.response_time import ResponseTime
from argos.checks.http_version import HTTPVersionIs
from argos.checks.tls import SSLCertificateValid, SSLMinVersion

# isort: on

__all__ = [
    "BaseCheck",
    "CheckNotFound",
    "Facts",
    "FinalizeRules",
    "HTTPBodyContains",
    "HTTPBodyLike",
    "HTTPHeadersContain",
    "HTTPHeadersHave",
    "HTTPHeadersLike",
    "HTTPJsonContains",
    "HTTPJsonHas",
    "HTTPJsonIs",
    "HTTPJsonLike",
    "HTTPStatus",
    "HTTPStatusIn",
    "HTTPToHTTPS",
    "HTTPVersionIs",
    "ResponseTime",
    "SSLCertificateExpiration",
    "SSLCertificateValid",
    "SSLMinVersion",
    "Thresholds",
    "Verdict",
    "get_registered_check",
    "get_registered_checks",
]
