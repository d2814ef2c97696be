"""S3's actions, condition keys and resources, as policies name them."""

from eucabox.iam.policy.wildcards import VARIABLE, glob

ARN = "arn:aws:s3:::"
# without their s3:
OBJECT_ACTIONS = """
    AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging
    DeleteObjectVersion DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes
    GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent GetObjectVersion
    GetObjectVersionAcl GetObjectVersionAttributes GetObjectVersionForReplication
    GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication ListMultipartUploadParts
    ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold PutObjectRetention
    PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete ReplicateObject
    ReplicateTags RestoreObject UpdateObjectEncryption
"""
BUCKET_ACTIONS = """
    CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket
    DeleteBucketMetadataTableConfiguration DeleteBucketOwnershipControls DeleteBucketPolicy
    DeleteBucketWebsite GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac
    GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
    GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
    GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock
    GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
    GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
    GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
    ListBucketMultipartUploads ListBucketVersions ListTagsForResource PutAccelerateConfiguration
    PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS PutBucketLogging
    PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls
    PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging
    PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
    PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
    PutMetricsConfiguration PutReplicationConfiguration TagResource UntagResource
"""
ACCOUNT_ACTIONS = "ListAllMyBuckets GetAccountPublicAccessBlock PutAccountPublicAccessBlock"
ACTIONS = frozenset((OBJECT_ACTIONS + BUCKET_ACTIONS + ACCOUNT_ACTIONS).split())
LOWERED = tuple(f"s3:{each}".lower() for each in sorted(ACTIONS))
# every condition key that S3 or any service of AWS has; most have no value here
KEY_NAMES = """
    aws:calledvia aws:calledviafirst aws:calledvialast aws:chatbotsourcearn aws:currenttime
    aws:ec2instancesourceprivateipv4 aws:ec2instancesourcevpc aws:epochtime
    aws:federatedprovider aws:multifactorauthage aws:multifactorauthpresent
    aws:principalaccount aws:principalarn aws:principalisawsservice aws:principalorgid
    aws:principalorgpaths aws:principalservicename aws:principalservicenameslist
    aws:principaltype aws:referer aws:requestedregion aws:resourceaccount aws:resourceorgid
    aws:resourceorgpaths aws:securetransport aws:sourceaccount aws:sourcearn aws:sourceidentity
    aws:sourceip aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc
    aws:sourcevpcarn aws:sourcevpce aws:tagkeys aws:tokenissuetime aws:useragent aws:userid
    aws:username aws:viaawsservice aws:vpceaccount aws:vpceorgid aws:vpceorgpaths
    aws:vpcsourceip
    s3:accessgrantsinstancearn s3:accesspointnetworkorigin s3:accesspointtag s3:authtype
    s3:buckettag s3:dataaccesspointaccount s3:dataaccesspointarn s3:delimiter
    s3:if-match s3:if-none-match s3:inventoryaccessibleoptionalfields s3:isreplicationpauserequest
    s3:locationconstraint s3:max-keys s3:object-lock-legal-hold s3:object-lock-mode
    s3:object-lock-remaining-retention-days s3:object-lock-retain-until-date
    s3:objectcreationoperation s3:prefix s3:requestobjecttagkeys s3:resourceaccount
    s3:signatureage s3:signatureversion s3:tlsversion s3:versionid s3:x-amz-acl
    s3:x-amz-content-sha256 s3:x-amz-copy-source s3:x-amz-copy-source-if-match
    s3:x-amz-copy-source-if-none-match s3:x-amz-grant-full-control s3:x-amz-grant-read
    s3:x-amz-grant-read-acp s3:x-amz-grant-write s3:x-amz-grant-write-acp
    s3:x-amz-metadata-directive s3:x-amz-object-ownership s3:x-amz-server-side-encryption
    s3:x-amz-server-side-encryption-aws-kms-key-id
    s3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-storage-class
    s3:x-amz-tagging-directive s3:x-amz-website-redirect-location
"""
KEYS = frozenset(KEY_NAMES.split())
TAGGED = (
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "s3:buckettag/",
    "s3:existingobjecttag/",
    "s3:requestobjecttag/",
)


class S3Vocabulary:
    """What a policy of one bucket may name."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def action(self, pattern: str) -> bool:
        """True if an action matches the pattern, which may be * alone."""
        like = glob(pattern.lower())
        return pattern == "*" or (pattern[:3].lower() == "s3:" and any(map(like, LOWERED)))

    def resource(self, pattern: str) -> bool:
        """True if the pattern can match the bucket or an object in it; * alone matches both."""
        if pattern == "*":
            return True
        if not pattern.startswith(ARN):
            return False
        path = VARIABLE.sub("*", pattern.removeprefix(ARN))
        return glob(path.partition("/")[0])(self._bucket)

    def key(self, name: str) -> bool:
        """True for a condition key, as `key_name` writes it."""
        return name in KEYS or any(
            name.startswith(each) and len(name) > len(each) for each in TAGGED
        )


def resource(bucket: str, key: str | None = None) -> str:
    """Return the ARN of a bucket, or of an object."""
    return f"{ARN}{bucket}" if key is None else f"{ARN}{bucket}/{key}"
