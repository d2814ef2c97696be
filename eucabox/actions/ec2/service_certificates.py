"""Service certificates: what a bundle is encrypted for, as Eucalyptus' clients fetch it."""

import base64
import hashlib
import ssl
from collections.abc import Collection, Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2.filters import Filter, select
from eucabox.errors import InvalidParameterValue

FORMATS = ("pem", "der")
DIGESTS = {"SHA-1": hashlib.sha1, "SHA-256": hashlib.sha256}
FILTERS = {"certificate-usage": "certificate_usage", "service-type": "service_type"}


@action(service="bootstrap")
def describe_service_certificates(
    call: Call,
    *,
    format: str = "pem",
    fingerprint_digest: str = "SHA-256",
    filters: Sequence[Filter] = (),
) -> Result:
    """List the cloud's certificate, for which images are bundled."""
    _refuse_others("Format", format, FORMATS)
    _refuse_others("FingerprintDigest", fingerprint_digest, DIGESTS)
    pem = call.cloud.accounts.cloud_certificate
    der = ssl.PEM_cert_to_DER_cert(pem)
    row = {
        "service_type": "compute",
        "certificate_usage": "image-bundling",
        "certificate_format": format,
        "certificate": pem if format == "pem" else base64.b64encode(der).decode(),
        "certificate_fingerprint_digest": fingerprint_digest,
        "certificate_fingerprint": DIGESTS[fingerprint_digest](der).digest().hex(":").upper(),
    }
    return {"service_certificates": select([row], filters, FILTERS)}


def _refuse_others(parameter: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        reason = f"Choose one of {', '.join(choices)}."
        raise InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)
