"""Why an operation is not offered on a single node, by the words in its name."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class UnsupportedFamily:
    """A feature that is not offered: operations whose name matches `words` answer why."""

    words: str
    what: str
    why: str


ONE_NETWORK = "Every account has one VPC, whose subnet is the network of all instances of this host"
# The first line that matches a name answers, so narrower words come first.
UNSUPPORTED = tuple(
    UnsupportedFamily(*line)
    for line in (
        ("ClientVpn|VpnC|VpnG|VpnT|CustomerGateway|Vgw", "VPN gateways and connections are",
         "Instances reach other networks through this host."),
        ("TransitGateway", "Transit gateways are", f"{ONE_NETWORK}."),
        ("LocalGateway|CarrierGateway|Outpost|ServiceLink", "Outposts and local gateways are",
         "This cloud is one host, and the instances' gateway is that host."),
        ("EgressOnly|NatGateway", "NAT gateways are",
         "Instances already go out through this host, which translates their addresses."),
        ("InternetGateway", "More internet gateways are",
         "Every account's VPC has its gateway, this host, which can't be changed."),
        ("Ipam|Byoip|Ipv4Pool|Ipv6Pool|CoipPool|CoipCidr", "Address pools and IPAM are",
         "The administrator sets the instances' addresses in [network] of the configuration."),
        ("VerifiedAccess", "Verified Access is", "Use a proxy of your own in an instance."),
        ("TrafficMirror|FlowLogs|NetworkInsights|ReachabilityAnalyzer|NetworkPerformance",
         "Flow logs, mirrored traffic and network analysis are",
         "Look at the instances' bridge on the host, with tcpdump for one."),
        ("RouteServer|PrefixList|Secondary|FlexCost", "Prefix lists and route servers are",
         f"{ONE_NETWORK}. Name address ranges in the rules of a security group."),
        ("VpcEndpoint|InstanceConnectEndpoint", "VPC endpoints are",
         "Instances reach this cloud's services at the same address as everybody."),
        ("VpcPeering", "VPC peering is", f"{ONE_NETWORK}."),
        ("ClassicLink|SecurityGroupVpc", "Other VPCs to link to are", f"{ONE_NETWORK}."),
        ("NetworkAcl", "More network ACLs are",
         "The default one allows everything; use security groups."),
        ("DhcpOptions", "More sets of DHCP options are",
         "The administrator sets the name servers in [network] dns of the configuration."),
        ("NetworkInterface|PrivateIpAddress|Ipv6Address|TrunkInterface",
         "More network interfaces and addresses are",
         "Each instance has one interface with one address, for as long as it lives."),
        ("Route", "More routes and route tables are",
         "The main route table leads out through this host and can't be changed."),
        ("Vpc|Subnet", "More VPCs and subnets are",
         f"{ONE_NETWORK}; neither can be changed."),
        ("Address|PublicIp", "Elastic addresses are",
         "An instance has one address, its private one. Use that."),
        ("Spot", "Spot instances are",
         "An instance that fits starts at once, at no price: use RunInstances."),
        ("Scheduled|Reserved|HostReservation", "Reserved and scheduled instances are",
         "An instance that fits starts at once, at no price: use RunInstances."),
        ("Capacity", "Capacity reservations are",
         "What fits is what DescribeAvailabilityZones tells the administrator for `verbose`."),
        ("Hosts|Mac[A-Z]", "Dedicated hosts are", "All instances run on this one host."),
        ("Fleet", "Fleets are", "Use RunInstances for each type of instance."),
        ("LaunchTemplate", "Launch templates are",
         "Give RunInstances the values themselves, by a script or an Ansible playbook."),
        ("PlacementGroup|InstancePlacement", "Placement groups are",
         "All instances run on this one host."),
        ("Enclave", "Enclaves are", "Give an instance a role by an instance profile."),
        ("CreditSpecification", "CPU credits are", "No instance type is burstable here."),
        ("Fpga|ElasticGpu", "FPGA images and GPUs are",
         "Instances have processors, memory and disk of this host."),
        ("EventWindow|InstanceEvent|ApplicationStatus|SqlHa", "Events of instances are",
         "DescribeInstanceStatus tells whether an instance's domain runs."),
        ("IdFormat", "Other formats of IDs are", "Every new ID is of the long format."),
        ("ConversionTask|ImportInstance|ImportImage|ImportTask|Export|StoreImage|RestoreImageTask",
         "Import and export tasks are",
         "RegisterImage takes a disk from a bucket; `eucabox image import` puts it there."),
        ("SerialConsole|DiagnosticInterrupt", "Serial consoles to type at are",
         "GetConsoleOutput shows what an instance wrote; the console has a page to type at."),
        ("FastLaunch|BlockPublicAccess|AllowedImages|ImageDeprecation|ImageDeregistration|(Dis|En)ableImage$"
         "|ImageWatermark|RecycleBin|ImageUsage|ImageReferences|ImageFindings|ImageAncestry"
         "|InstanceTypeSpecification", "Rules and reports about images are",
         "An image is private, shared or public; deregister what nobody should run."),
        ("Kms|Declarative|MetricCategor|ManagedResource|ZoneGroup|ApplicationStatus",
         "Keys, policies and groups of AWS itself are", "This cloud is one host of yours."),
    )
)  # fmt: skip


def ec2_reason(operation: str) -> str:
    """Return why an operation of EC2 is not offered, or ""."""
    for each in UNSUPPORTED:
        if re.search(each.words, operation):
            return f"{operation}: {each.what} not available on a single-node cloud. {each.why}"
    return ""


# The same for IAM.
UNSUPPORTED_OF_IAM = tuple(
    UnsupportedFamily(*line)
    for line in (
        ("SSHPublicKey", "SSH keys of users are",
         "Instances have the key pairs of EC2: use ImportKeyPair."),
        ("ServiceSpecificCredential", "Credentials of single services are",
         "An access key signs for every service: use CreateAccessKey."),
        ("ServerCertificate", "Server certificates are",
         "The administrator sets the certificate of HTTPS in [api] of the configuration."),
        ("SAML", "SAML providers are", "Use an OpenID Connect provider."),
        ("ServiceLinkedRole", "Service-linked roles are",
         "The services of this cloud need no role of yours."),
        ("Organization|Delegation|HumanReadable|OutboundWebIdentity",
         "Organizations and what AWS does across accounts are",
         "The administrator makes accounts by `eucabox account create`."),
        ("CredentialReport|ServiceLastAccessed|OrganizationsAccess", "Reports are",
         "GetAccessKeyLastUsed tells when a key was used, and the log has each request."),
        ("SecurityTokenServicePreferences", "Other token versions are",
         "Tokens of STS are of one kind here."),
    )
)  # fmt: skip


def iam_reason(operation: str) -> str:
    """Return why an operation of IAM is not offered."""
    for each in UNSUPPORTED_OF_IAM:
        if re.search(each.words, operation):
            return f"{operation}: {each.what} not available on this cloud. {each.why}"
    return f"This cloud does not serve IAM's {operation}; docs/actions.md has those that it does."


# What to do instead of S3's other operations; the first line that matches a name answers.
S3_HINTS = (
    ("SelectObjectContent", "Get the object, or a range of it, and search it where you are."),
    ("BucketReplication", "All objects are on this host's disk. Copy them to another cloud by a"
     " client, as with `rclone sync`."),
    ("AnalyticsConf", "Storage is not analysed here. The administrator's `eucabox bucket` counts."),
    ("InventoryConf", "Inventories are not written here. List the bucket: it costs nothing."),
    ("MetricsConf", "There are no metrics to choose: the log has a line for each request."),
    ("IntelligentTiering", "All objects lie on one disk, whatever their storage class."),
    ("MetadataTable|MetadataConf|MetadataInventory|MetadataJournal|BucketAbac",
     "List the bucket and read the tags of its objects instead."),
    ("CreateSession|DirectoryBuckets", "Directory buckets are a kind of AWS alone. Use a bucket."),
    ("WriteGetObjectResponse", "There are no functions here that could change an object."),
    ("RenameObject", "Copy the object to its new key, then delete the old one."),
)  # fmt: skip


def s3_hint(name: str) -> str:
    """Return what to do instead of an operation of S3 that is not offered."""
    fitting = (hint for words, hint in S3_HINTS if re.search(words, name))
    return next(fitting, "Leave this feature out.")
