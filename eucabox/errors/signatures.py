"""Faults of signed requests."""

from eucabox.errors.fault import Fault

# Facts with a capital letter are the extra elements of an S3 error answer.


class AccessKeyRefused(Fault):
    code, text = "AuthFailure", "The access key ID {AWSAccessKeyId} {reason}"


class ClientTokenRefused(Fault):
    code, text = "InvalidClientTokenId", "The access key ID {AWSAccessKeyId} {reason}"


class InvalidAccessKeyId(Fault):
    code = "InvalidAccessKeyId"
    text = "The AWS Access Key Id you provided does not exist in our records."
    detail_text = "The access key ID {AWSAccessKeyId} {reason}"


class SignatureDoesNotMatch(Fault):
    code = "SignatureDoesNotMatch"
    text = (
        "The request signature we calculated does not match the signature you provided."
        " Check your key and signing method.{detail}"
    )


class ChunkSignatureDoesNotMatch(Fault):
    code = "SignatureDoesNotMatch"
    text = "The signature of {part} of the body does not match: it was changed on its way."


class RequestExpired(Fault):
    code, text = "RequestExpired", "Request has expired. {reason}"


class RequestTimeTooSkewed(Fault):
    code = "RequestTimeTooSkewed"
    text = "The difference between the request time and the current time is too large."
    detail_text = "{reason}"


class PresignedExpired(Fault):
    code, text = "AccessDenied", "Request has expired"


class SignatureRefused(Fault):
    code, text = "AccessDenied", "{reason}"


class IncompleteSignature(Fault):
    code, text = "IncompleteSignature", "{reason}"


class AuthorizationHeaderMalformed(Fault):
    code, text = "AuthorizationHeaderMalformed", "The authorization header is malformed; {reason}"


class AuthorizationQueryParametersError(Fault):
    code, text = "AuthorizationQueryParametersError", "{reason}"


class AuthorizationTypeUnsupported(Fault):
    code, text = "InvalidArgument", "Unsupported Authorization Type. {reason}"


class MissingSecurityHeader(Fault):
    code = "MissingSecurityHeader"
    text = "Your request is missing a required header: {MissingHeaderName}"


class InvalidToken(Fault):
    code = "InvalidToken"
    text = "The provided token is malformed or otherwise invalid."
    detail_text = "{reason}"


class ExpiredToken(Fault):
    code, text, detail_text = "ExpiredToken", "The provided token has expired.", "{reason}"


class TokenRefused(Fault):
    code = "AuthFailure"
    text = "AWS was not able to validate the provided access credentials."
    detail_text = "The session token is not valid. {reason}"


class SessionExpired(Fault):
    code, text = "RequestExpired", "Request has expired."
    detail_text = "The session token has expired. {reason}"


class ClientTokenInvalid(Fault):
    code = "InvalidClientTokenId"
    text = "The security token included in the request is invalid."
    detail_text = "{reason}"


class ClientTokenExpired(Fault):
    code = "ExpiredToken"
    text = "The security token included in the request is expired"
    detail_text = "{reason}"


class ContentHashMismatch(Fault):
    code = "XAmzContentSHA256Mismatch"
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."


class ContentHashForm(Fault):
    code, text = "InvalidArgument", "{reason}"


class DecodedLengthMissing(Fault):
    code = "MissingContentLength"
    text = "You must provide the Content-Length HTTP header."
    detail_text = "A body in aws-chunked coding needs x-amz-decoded-content-length, a number."


class BodyBrokenOff(Fault):
    code = "IncompleteBody"
    text = "The request body terminated unexpectedly"
    detail_text = "The body is not what its headers promise: {reason}"


class MalformedChunk(Fault):
    code, text = "InvalidRequest", "The aws-chunked body is not well-formed: {reason}"


class ChecksumTwice(Fault):
    code = "InvalidRequest"
    text = "Expecting a single x-amz-checksum- value: it is sent as a header and as a trailer."


class MalformedTrailer(Fault):
    code = "MalformedTrailerError"
    text = "The request contained trailing data that was not well-formed: {reason}"
