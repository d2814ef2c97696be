"""What the actions of EC2, S3, IAM and STS act on, and how those resources are named in a policy.

The table follows AWS's Service Authorization Reference for the operations that this cloud has or
names. An action that is not in it acts on no resource that a policy can name: it asks for `*`.
"""

import re

from eucabox.iam.policy.s3_vocabulary import BUCKET_ACTIONS, OBJECT_ACTIONS

TEMPLATES = {
    "ec2:dhcp-options": "arn:aws:ec2:${Region}:${Account}:dhcp-options/${DhcpOptionsId}",
    "ec2:elastic-ip": "arn:aws:ec2:${Region}:${Account}:elastic-ip/${AllocationId}",
    "ec2:image": "arn:aws:ec2:${Region}::image/${ImageId}",
    "ec2:instance": "arn:aws:ec2:${Region}:${Account}:instance/${InstanceId}",
    "ec2:internet-gateway": "arn:aws:ec2:${Region}:${Account}:internet-gateway/${GatewayId}",
    "ec2:key-pair": "arn:aws:ec2:${Region}:${Account}:key-pair/${KeyPairName}",
    "ec2:network-acl": "arn:aws:ec2:${Region}:${Account}:network-acl/${NaclId}",
    "ec2:network-interface": (
        "arn:aws:ec2:${Region}:${Account}:network-interface/${NetworkInterfaceId}"
    ),
    "ec2:route-table": "arn:aws:ec2:${Region}:${Account}:route-table/${RouteTableId}",
    "ec2:security-group": "arn:aws:ec2:${Region}:${Account}:security-group/${SecurityGroupId}",
    "ec2:security-group-rule": (
        "arn:aws:ec2:${Region}:${Account}:security-group-rule/${SecurityGroupRuleId}"
    ),
    "ec2:snapshot": "arn:aws:ec2:${Region}::snapshot/${SnapshotId}",
    "ec2:subnet": "arn:aws:ec2:${Region}:${Account}:subnet/${SubnetId}",
    "ec2:volume": "arn:aws:ec2:${Region}:${Account}:volume/${VolumeId}",
    "ec2:vpc": "arn:aws:ec2:${Region}:${Account}:vpc/${VpcId}",
    "iam:group": "arn:aws:iam::${Account}:group/${GroupNameWithPath}",
    "iam:instance-profile": (
        "arn:aws:iam::${Account}:instance-profile/${InstanceProfileNameWithPath}"
    ),
    "iam:mfa": "arn:aws:iam::${Account}:mfa/${MfaTokenIdWithPath}",
    "iam:oidc-provider": "arn:aws:iam::${Account}:oidc-provider/${OidcProviderName}",
    "iam:policy": "arn:aws:iam::${Account}:policy/${PolicyNameWithPath}",
    "iam:role": "arn:aws:iam::${Account}:role/${RoleNameWithPath}",
    "iam:saml-provider": "arn:aws:iam::${Account}:saml-provider/${SamlProviderName}",
    "iam:server-certificate": (
        "arn:aws:iam::${Account}:server-certificate/${CertificateNameWithPath}"
    ),
    "iam:user": "arn:aws:iam::${Account}:user/${UserNameWithPath}",
    "s3:bucket": "arn:aws:s3:::${BucketName}",
    "s3:object": "arn:aws:s3:::${BucketName}/${ObjectName}",
}
# resources: the actions that act on all of them
EC2 = """
dhcp-options elastic-ip image instance internet-gateway key-pair network-acl network-interface
    route-table security-group security-group-rule snapshot subnet volume vpc:
  CreateTags DeleteTags
elastic-ip: AllocateAddress ModifyAddressAttribute ReleaseAddress ResetAddressAttribute
elastic-ip instance network-interface: AssociateAddress
elastic-ip network-interface: DisassociateAddress
image: DeregisterImage DescribeImageAttribute ModifyImageAttribute ResetImageAttribute
image instance key-pair network-interface security-group subnet volume: RunInstances
image instance snapshot: CreateImage
image snapshot: CopyImage RegisterImage
instance:
  AssociateIamInstanceProfile DisassociateIamInstanceProfile ReplaceIamInstanceProfileAssociation
  DescribeInstanceAttribute GetConsoleOutput GetConsoleScreenshot GetPasswordData
  ModifyInstanceMetadataOptions MonitorInstances OpenScreen OpenSerialConsole RebootInstances
  ResetInstanceAttribute
  StartInstances StopInstances TerminateInstances UnmonitorInstances
instance security-group volume: ModifyInstanceAttribute
instance snapshot volume: CreateReplaceRootVolumeTask CreateSnapshots
instance volume: AttachVolume DetachVolume
key-pair: CreateKeyPair DeleteKeyPair ImportKeyPair
security-group:
  DeleteSecurityGroup DescribeSecurityGroupReferences RevokeSecurityGroupEgress
  RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress
  UpdateSecurityGroupRuleDescriptionsIngress
security-group security-group-rule:
  AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress ModifySecurityGroupRules
security-group vpc: CreateSecurityGroup
snapshot:
  CopySnapshot DeleteSnapshot DescribeSnapshotAttribute DisableFastSnapshotRestores
  EnableFastSnapshotRestores ImportSnapshot LockSnapshot ModifySnapshotAttribute
  ModifySnapshotTier ResetSnapshotAttribute RestoreSnapshotFromRecycleBin RestoreSnapshotTier
  UnlockSnapshot
snapshot volume: CreateSnapshot CreateVolume
volume:
  CopyVolumes DeleteVolume DescribeVolumeAttribute EnableVolumeIO ImportVolume ModifyVolume
  ModifyVolumeAttribute RestoreVolumeFromRecycleBin
vpc: DescribeVpcAttribute
"""
IAM = """
group:
  AddUserToGroup AttachGroupPolicy CreateGroup DeleteGroup DeleteGroupPolicy DetachGroupPolicy
  GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies PutGroupPolicy
  RemoveUserFromGroup UpdateGroup
group role user:
  GetContextKeysForPrincipalPolicy ListPoliciesGrantingServiceAccess SimulatePrincipalPolicy
instance-profile:
  AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile
  ListInstanceProfileTags RemoveRoleFromInstanceProfile TagInstanceProfile UntagInstanceProfile
mfa: CreateVirtualMFADevice DeleteVirtualMFADevice ListMFADeviceTags TagMFADevice UntagMFADevice
oidc-provider:
  AddClientIDToOpenIDConnectProvider CreateOpenIDConnectProvider DeleteOpenIDConnectProvider
  GetOpenIDConnectProvider ListOpenIDConnectProviderTags
  RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider UntagOpenIDConnectProvider
  UpdateOpenIDConnectProviderThumbprint
policy:
  CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion
  ListEntitiesForPolicy ListPolicyTags ListPolicyVersions SetDefaultPolicyVersion TagPolicy
  UntagPolicy
role:
  AttachRolePolicy CreateRole CreateServiceLinkedRole DeleteRole DeleteRolePermissionsBoundary
  DeleteRolePolicy DeleteServiceLinkedRole DetachRolePolicy GetRole GetRolePolicy
  GetServiceLinkedRoleDeletionStatus ListAttachedRolePolicies ListInstanceProfilesForRole
  ListRolePolicies ListRoleTags PassRole PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole
  UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription
saml-provider:
  CreateSAMLProvider DeleteSAMLProvider GetSAMLProvider ListSAMLProviderTags TagSAMLProvider
  UntagSAMLProvider UpdateSAMLProvider
server-certificate:
  DeleteServerCertificate GetServerCertificate ListServerCertificateTags TagServerCertificate
  UntagServerCertificate UpdateServerCertificate UploadServerCertificate
user:
  AttachUserPolicy ChangePassword CreateAccessKey CreateLoginProfile
  CreateServiceSpecificCredential CreateUser DeactivateMFADevice DeleteAccessKey
  DeleteLoginProfile DeleteSSHPublicKey DeleteServiceSpecificCredential DeleteSigningCertificate
  DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy DetachUserPolicy EnableMFADevice
  GetAccessKeyLastUsed GetLoginProfile GetMFADevice GetSSHPublicKey GetUser GetUserPolicy
  ListAccessKeys ListAttachedUserPolicies ListGroupsForUser ListMFADevices ListSSHPublicKeys
  ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies ListUserTags
  PutUserPermissionsBoundary PutUserPolicy ResetServiceSpecificCredential ResyncMFADevice TagUser
  UntagUser UpdateAccessKey UpdateLoginProfile UpdateSSHPublicKey UpdateServiceSpecificCredential
  UpdateSigningCertificate UpdateUser UploadSSHPublicKey UploadSigningCertificate
"""
STS = """
role:
  AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity SetSourceIdentity TagSession
"""
LINE = re.compile(r"([a-z0-9\s-]+):([A-Za-z0-9\s]*?)(?=\n[a-z]|\Z)")
PLACE = re.compile(r"\$\{(\w+)\}")


def _read_table(service: str, text: str, owner: str = "") -> dict[str, tuple[str, ...]]:
    """Read a table into the types of each action; they are of the service `owner`, if named."""
    return {
        f"{service}:{action}".lower(): tuple(f"{owner or service}:{each}" for each in types.split())
        for types, actions in LINE.findall(text.strip())
        for action in actions.split()
    }


TYPES_OF = {
    **_read_table("ec2", EC2),
    **_read_table("s3", f"bucket:{BUCKET_ACTIONS}object:{OBJECT_ACTIONS}"),
    **_read_table("iam", IAM),
    **_read_table("sts", STS, owner="iam"),
}


def list_resource_types(action: str) -> tuple[str, ...]:
    """Return what an action acts on, as ec2:instance; nothing for an action on no resource."""
    return TYPES_OF.get(action.lower(), ())


def resource_arn(resource_type: str, name: str, account: str = "", region: str = "") -> str:
    """Return the ARN of a resource: of ec2:instance and i-1, of s3:object and BUCKET/KEY, of
    iam:user and PATH/NAME."""
    values = {"Region": region, "Account": account}
    before, mark, _ = TEMPLATES[resource_type].partition("${BucketName}")
    if mark:
        return before + name
    return PLACE.sub(lambda place: values.get(place[1], name), TEMPLATES[resource_type])


def resource_template(action: str) -> str:
    """Return the ARN of what an action acts on with ${...} in place of names, or * if that is
    nothing, or more than one."""
    types = list_resource_types(action)
    return TEMPLATES[types[0]] if len(types) == 1 else "*"
