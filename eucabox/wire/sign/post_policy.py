"""Who signed the policy of an upload by a form, in versions 2 and 4; never what it allows."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from eucabox.errors import AuthorizationQueryParametersError, FormFieldInvalid, FormFieldMissing
from eucabox.iam.caller import Caller
from eucabox.s3 import post_policy
from eucabox.wire.sign import dates
from eucabox.wire.sign.errors import SignatureCheck, mask
from eucabox.wire.sign.v4 import ALGORITHM, day_keys, parse_scope

V2 = ("awsaccesskeyid", "signature")
V4 = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
SPELLING = {"awsaccesskeyid": "AWSAccessKeyId", "x-amz-algorithm": "X-Amz-Algorithm"}
SPELLING |= {"x-amz-credential": "X-Amz-Credential", "x-amz-date": "X-Amz-Date"}
SPELLING |= {"x-amz-signature": "X-Amz-Signature"}


def authenticate_form(fields: Mapping[str, str], check: SignatureCheck) -> Caller | None:
    """Check the signature in a form's fields (names in lower case); None for a form without one.

    Raises FormFieldMissing, FormFieldInvalid, InvalidAccessKeyId, SignatureDoesNotMatch,
    InvalidToken, ExpiredToken, AuthorizationQueryParametersError.
    """
    signing = [name for name in (*V2, *V4) if name in fields]
    if "policy" not in fields:
        if signing:
            raise FormFieldMissing(ArgumentName="policy")
        return None
    needed = V4 if any(name in fields for name in V4) else V2
    for name in needed:
        if not fields.get(name):
            raise FormFieldMissing(ArgumentName=SPELLING.get(name, name))
    encoded = fields["policy"].encode("utf-8", "surrogateescape")
    return (_verify_v4 if needed is V4 else _verify_v2)(fields, encoded, check)


def _verify_v2(fields: Mapping[str, str], policy: bytes, check: SignatureCheck) -> Caller:
    key_id, provided = fields["awsaccesskeyid"], fields["signature"]
    credential = check.find_credential(key_id, fields.get("x-amz-security-token", ""))
    if not post_policy.is_signed(policy, provided, credential.secret):
        raise check.mismatch(key_id, provided, policy)
    return credential.caller


def _verify_v4(fields: Mapping[str, str], policy: bytes, check: SignatureCheck) -> Caller:
    algorithm, date = fields["x-amz-algorithm"], fields["x-amz-date"]
    if algorithm != ALGORITHM:
        reason = f"it must be {ALGORITHM}, not {mask(algorithm)}."
        raise FormFieldInvalid(ArgumentName="X-Amz-Algorithm", reason=reason)
    if dates.parse_basic(date) is None:
        reason = "it must be in the ISO8601 format yyyyMMdd'T'HHmmss'Z'"
        raise FormFieldInvalid(ArgumentName="X-Amz-Date", reason=reason)
    scope = parse_scope(fields["x-amz-credential"], date, AuthorizationQueryParametersError)
    token = fields.get("x-amz-security-token", "")
    credential = check.find_credential(scope.access_key_id, token, scope.service)
    expected = day_keys.key(scope, credential.secret).sign(policy)
    provided = fields["x-amz-signature"]
    if not hmac.compare_digest(expected.encode(), provided.encode("utf-8", "replace")):
        raise check.mismatch(scope.access_key_id, provided, policy)
    return credential.caller
