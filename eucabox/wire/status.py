"""The HTTP status of each error code; the only place that knows one."""

STATUS: dict[str, int] = {
    # any service
    "AccessDenied": 403,
    "AccountProblem": 403,
    "AuthFailure": 401,
    "Blocked": 403,
    "DryRunOperation": 412,
    "ExpiredToken": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InvalidClientTokenId": 403,
    "InvalidAccessKeyId": 403,
    "MissingAuthenticationToken": 403,
    "OptInRequired": 403,
    "RequestEntityTooLarge": 413,
    "RequestLimitExceeded": 503,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
    "UnauthorizedOperation": 403,
    # IAM
    "ConcurrentModification": 409,
    "DeleteConflict": 409,
    "DuplicateCertificate": 409,
    "EntityAlreadyExists": 409,
    "EntityTemporarilyUnmodifiable": 409,
    "InvalidAuthenticationCode": 403,
    "LimitExceeded": 409,
    "NoSuchEntity": 404,
    # S3
    "AccessControlListNotSupported": 400,
    "AccessForbidden": 403,
    "AllAccessDisabled": 403,
    "BucketAlreadyExists": 409,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "ConditionalRequestConflict": 409,
    "CrossLocationLoggingProhibitted": 403,
    "EntityTooLarge": 400,
    "InvalidBucketState": 409,
    "InvalidObjectState": 403,
    "InsufficientStorage": 507,
    "InvalidPartNumber": 416,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "MissingSecurityHeader": 400,
    "NoSuchBucket": 404,
    "NoSuchBucketPolicy": 404,
    "NoSuchConfiguration": 404,
    "NoSuchCORSConfiguration": 404,
    "NoSuchKey": 404,
    "NoSuchLifecycleConfiguration": 404,
    "NoSuchObjectLockConfiguration": 404,
    "NoSuchPublicAccessBlockConfiguration": 404,
    "NoSuchTagSet": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NoSuchWebsiteConfiguration": 404,
    "NotImplemented": 501,
    "NotModified": 304,
    "NotSignedUp": 403,
    "ObjectLockConfigurationNotFoundError": 404,
    "OperationAborted": 409,
    "OwnershipControlsNotFoundError": 404,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "QuotaExceeded": 403,
    "ReplicationConfigurationNotFoundError": 404,
    "ServerSideEncryptionConfigurationNotFoundError": 404,
    "SlowDown": 503,
    # the metadata service
    "NotFound": 404,
    "Unauthorized": 401,
}


IN_S3 = {"ExpiredToken": 400}  # where S3 has another status than the other services


def status_of(code: str, service: str = "") -> int:
    """Return the HTTP status that goes with an error code of a service: 400 unless listed.

    What waiting can't mend is never a 5xx: clients send those again on their own.
    """
    if service == "s3" and code in IN_S3:
        return IN_S3[code]
    return STATUS.get(code, 400)
