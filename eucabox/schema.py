"""The tables, a string of statements per step of their history, applied by state.py alone; and
the type of a row of each table whose rows are handed from one room to another."""

from typing import TypedDict

FIRST = """
create table accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null);
create table users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
create table access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
create table certificates (certificate_id text primary key,
  user_id text not null references users, certificate text not null, private_key blob,
  status text not null, created text not null);
create table key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
create table security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
create table security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '');
create index rules_by_group on security_group_rules (group_id);
create table images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null);
create table reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null);
create unique index one_reservation_a_token on reservations (account_id, client_token)
  where client_token is not null;
create table instances (instance_id text primary key,
  reservation_id text not null references reservations, account_id text not null,
  ami_launch_index integer not null, image_id text not null, kernel_id text, ramdisk_id text,
  instance_type text not null, key_name text, public_key text, state text not null,
  state_code integer not null, state_reason_code text not null default '',
  state_reason_message text not null default '', launch_time text not null,
  state_time text not null, terminated_time text, availability_zone text not null,
  architecture text not null, virtualization_type text not null, mac_address text,
  private_ip_address text, private_dns_name text, user_data blob,
  wanted text not null default '', wanted_reason text not null default '',
  metadata_options text not null default '{}', monitoring integer not null default 0,
  vcpus integer not null, memory_mb integer not null, disk_gb integer not null,
  domain_uuid text not null unique, root_device_name text not null default '/dev/sda1',
  launch_state text not null default '', shutdown_behavior text not null default 'terminate',
  disable_api_termination integer not null default 0);
create index instances_by_state on instances (state);
create index instances_by_account on instances (account_id, launch_time);
create index instances_by_address on instances (private_ip_address);
create table instance_groups (instance_id text not null references instances on delete cascade,
  group_id text not null references security_groups, primary key (instance_id, group_id));
create index instances_of_group on instance_groups (group_id);
create table tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
create table used_signatures (signature text primary key, expires text not null);
create table settings (key text primary key, value text not null)
"""

# A signature's twin in the same moment is the same client's: when it was seen first counts.
FIRST_USED = """
alter table used_signatures add column first_used text not null default ''
"""

# Which requests made an instance and want of it what it does not do yet: the log says them.
REQUEST_IDS = """
alter table instances add column request_id text not null default '';
alter table instances add column wanted_request_id text not null default ''
"""

# An instance that was stopped once: its disk outlives a launch that fails, and the host's ends.
STOPS = """
alter table instances add column stopped_time text;
alter table instances add column disable_api_stop integer not null default 0
"""

SHARED_IMAGES = """
create table launch_permissions (image_id text not null references images on delete cascade,
  account_id text not null, primary key (image_id, account_id));
create index launch_permissions_by_account on launch_permissions (account_id);
alter table images add column product_codes text not null default '[]'
"""

INSTANCE_TYPES = """
create table instance_types (name text primary key, vcpus integer not null,
  memory_mb integer not null, disk_gb integer not null)
"""

BUNDLE_TASKS = """
create table bundle_tasks (bundle_id text primary key, instance_id text not null,
  account_id text not null, user_id text not null, owner text not null, bucket text not null,
  prefix text not null,
  state text not null, progress integer not null default 0, error_code text not null default '',
  error_message text not null default '', start_time text not null, update_time text not null,
  image_id text, no_reboot integer not null default 0, copied integer not null default 0,
  restart integer not null default 0);
create index bundle_tasks_by_instance on bundle_tasks (instance_id)
"""

# An address that access lists may name an account by; kept in lower case.
EMAILS = """
alter table accounts add column email text not null default '';
create unique index one_account_an_email on accounts (email) where email <> ''
"""

# Whether an instance shows its address as its public one too.
PUBLIC_ADDRESSES = """
alter table instances add column public_address integer not null default 1
"""

# A rule may name another account's group, which need not be there: it is looked for by each packet
# filter anew.
STRANGERS_GROUPS = """
alter table security_group_rules add column referenced_name text
"""

# When a state or a reservation began, by a clock that is never set: the texts are for people.
STATE_CLOCK = """
alter table instances add column state_clock text not null default '';
alter table reservations add column created_clock text not null default ''
"""

# Which program made which schema: an older program that can't read the file names it.
SCHEMA_CHANGES = """
create table schema_changes (schema integer primary key, program text not null,
  time text not null)
"""

# IAM's entities. Until now each user was alone in an account, which is what a root is. Names differ
# by more than the case of their letters. `owner_id` is the unique id of a user, group or role.
PEOPLE = """
alter table accounts add column alias text not null default '';
alter table accounts add column limits text not null default '{}';
create unique index one_account_an_alias on accounts (alias) where alias <> '';
alter table users add column is_root integer not null default 0;
alter table users add column password text not null default '';
alter table users add column password_created text not null default '';
alter table users add column password_reset_required integer not null default 0;
alter table users add column password_last_used text not null default '';
alter table users add column permissions_boundary text not null default '';
alter table users add column information text not null default '{}';
update users set is_root = 1;
create unique index one_user_a_name on users (account_id, lower(user_name));
create unique index one_root_an_account on users (account_id) where is_root = 1;
alter table access_keys add column last_used text not null default '';
alter table access_keys add column last_used_service text not null default '';
alter table access_keys add column last_used_region text not null default '';
create index access_keys_by_user on access_keys (user_id);
create index certificates_by_user on certificates (user_id);
create table groups (group_id text primary key, account_id text not null references accounts,
  group_name text not null, path text not null default '/', created text not null);
create unique index one_group_a_name on groups (account_id, lower(group_name));
create table group_members (group_id text not null references groups,
  user_id text not null references users, primary key (group_id, user_id));
create index groups_by_user on group_members (user_id);
create table roles (role_id text primary key, account_id text not null references accounts,
  role_name text not null, path text not null default '/', description text not null default '',
  trust_policy text not null, max_session_duration integer not null default 3600,
  permissions_boundary text not null default '', created text not null,
  last_used text not null default '', last_used_region text not null default '');
create unique index one_role_a_name on roles (account_id, lower(role_name));
create table instance_profiles (instance_profile_id text primary key,
  account_id text not null references accounts, instance_profile_name text not null,
  path text not null default '/', role_id text references roles, created text not null);
create unique index one_instance_profile_a_name
  on instance_profiles (account_id, lower(instance_profile_name));
create index instance_profiles_by_role on instance_profiles (role_id);
create table policies (policy_id text primary key, account_id text not null references accounts,
  policy_name text not null, path text not null default '/', description text not null default '',
  default_version_id text not null, newest_version integer not null default 1,
  created text not null, updated text not null);
create unique index one_policy_a_name on policies (account_id, lower(policy_name));
create table policy_versions (policy_id text not null references policies on delete cascade,
  version_id text not null, document text not null, created text not null,
  primary key (policy_id, version_id));
create table inline_policies (owner_id text not null, policy_name text not null,
  document text not null, primary key (owner_id, policy_name));
create table attached_policies (owner_id text not null, policy_arn text not null,
  primary key (owner_id, policy_arn));
create index attached_policies_by_arn on attached_policies (policy_arn);
create table iam_tags (resource_id text not null, key text not null, value text not null,
  primary key (resource_id, key));
create table account_policies (account_id text not null references accounts on delete cascade,
  policy_name text not null, document text not null, primary key (account_id, policy_name));
create table oidc_providers (provider_id text primary key,
  account_id text not null references accounts, url text not null,
  client_ids text not null default '[]', thumbprints text not null default '[]',
  jwks text not null default '', created text not null, unique (account_id, url));
create table sessions (access_key_id text primary key, secret blob not null,
  token_hash text not null, account_id text not null references accounts on delete cascade,
  user_id text references users on delete cascade, role_id text references roles on delete cascade,
  session_name text not null default '', instance_id text not null default '',
  policies text, tags text not null default '{}', transitive_tags text not null default '[]',
  federated text not null default '',
  mfa integer not null default 0, source_identity text not null default '',
  created text not null, expires text not null);
create index sessions_by_account on sessions (account_id, expires);
create index sessions_by_user on sessions (user_id);
create index sessions_by_role on sessions (role_id);
create index sessions_by_instance on sessions (instance_id) where instance_id <> '';
create index sessions_by_end on sessions (expires)
"""

# Which instance has which profile, and the sealed tokens of sessions that are handed out again.
INSTANCE_PROFILES = """
create table instance_profile_associations (association_id text primary key,
  instance_id text not null unique references instances on delete cascade,
  instance_profile_id text not null references instance_profiles on delete cascade,
  created text not null);
create index associations_by_instance_profile
  on instance_profile_associations (instance_profile_id);
create table session_tokens (
  access_key_id text primary key references sessions on delete cascade, token blob not null)
"""

# An account's password policy, as JSON; "" where it has none.
LOGIN_RULES = """
alter table accounts add column password_policy text not null default ''
"""

# Letters that leave, people who ask for an account, and the codes that their letters carry. A
# letter's text is sealed while it waits and gone afterwards; of a code only the hash is kept.
SIGN_UPS = """
create table mails (mail_id text primary key, recipient text not null, subject text not null,
  body blob, state text not null, tries integer not null default 0, created text not null,
  created_clock text not null, tried_clock text not null default '',
  finished text not null default '', problem text not null default '');
create index mails_by_state on mails (state, created);
create table sign_ups (sign_up_id text primary key, user_name text not null, email text not null,
  password text not null, information text not null default '{}', state text not null,
  created text not null, expires text not null);
create unique index one_sign_up_a_name on sign_ups (lower(user_name));
create unique index one_sign_up_an_email on sign_ups (email);
create table codes (code_hash text primary key, purpose text not null,
  user_id text references users on delete cascade,
  sign_up_id text references sign_ups on delete cascade,
  created text not null, expires text not null);
create index codes_by_user on codes (user_id);
create index codes_by_sign_up on codes (sign_up_id);
create index codes_by_end on codes (expires)
"""

LOGIN_SESSIONS = """
create table login_sessions (session_hash text primary key,
  user_id text not null references users on delete cascade, password_created text not null,
  created text not null, last_used text not null, expires text not null,
  source text not null, user_agent text not null);
create index login_sessions_by_user on login_sessions (user_id)
"""

# A number that changes with whatever decides who a caller is and what it may do, so that what was
# read of that is read again only then, and not with every row that changes.
IDENTITY_TABLES = (
    "accounts", "users", "access_keys", "group_members", "roles", "instance_profiles",
    "instance_profile_associations", "policies", "policy_versions", "inline_policies",
    "attached_policies", "iam_tags", "sessions",
)  # fmt: skip
IDENTITY_VERSION = """
create table identity_version (version integer not null);
insert into identity_version values (0);
""" + ";\n".join(
    f"create trigger identity_{table}_{verb} after {verb} on {table}"
    " begin update identity_version set version = version + 1; end"
    for table in IDENTITY_TABLES
    for verb in ("insert", "update", "delete")
    if (table, verb) not in (("sessions", "insert"), ("access_keys", "insert"))  # not known yet
)

# How the request for a bundle came, which the policy of its bucket may ask when it is stored.
BUNDLE_CONTEXTS = """
alter table bundle_tasks add column context text not null default '{}'
"""

# A user who is shut out, and the time that was set for the end of a password.
USER_STATES = """
alter table users add column disabled integer not null default 0;
alter table users add column password_expires text not null default ''
"""

# What users may not choose again, where the policy of their account forbids that.
USED_PASSWORDS = """
create table used_passwords (user_id text not null references users on delete cascade,
  password text not null, created text not null);
create index used_passwords_by_user on used_passwords (user_id)
"""

# What happened, the newest of each account: what was asked for, and what became of instances.
# An account "" is the cloud itself. `refused` rows have a bound of their own.
EVENTS = """
create table events (event_id integer primary key autoincrement, time text not null,
  account_id text not null, user text not null, service text not null, action text not null,
  resources text not null, outcome text not null, reason text not null,
  request_id text not null, source text not null, refused integer not null);
create index events_by_account on events (account_id, refused, event_id)
"""

# Virtual MFA devices, with a sealed seed each, and whether a session of the console had a code.
MFA_DEVICES = """
create table mfa_devices (serial_number text primary key,
  account_id text not null references accounts on delete cascade,
  user_id text references users on delete cascade, seed blob not null,
  drift integer not null default 0, last_step integer not null default 0,
  created text not null, enabled text not null default '');
create unique index one_mfa_device_a_serial on mfa_devices (lower(serial_number));
create index mfa_devices_by_account on mfa_devices (account_id);
create index mfa_devices_by_user on mfa_devices (user_id);
alter table login_sessions add column mfa integer not null default 0
"""

# Each request that changes something looks for signatures that may be forgotten.
SIGNATURES_BY_END = "create index used_signatures_by_end on used_signatures (expires)"

MIGRATIONS = (
    FIRST, FIRST_USED, REQUEST_IDS, STOPS, SHARED_IMAGES, INSTANCE_TYPES, BUNDLE_TASKS, EMAILS,
    PUBLIC_ADDRESSES, STRANGERS_GROUPS, STATE_CLOCK, SCHEMA_CHANGES, PEOPLE,
    INSTANCE_PROFILES, LOGIN_RULES, SIGN_UPS, LOGIN_SESSIONS,
    IDENTITY_VERSION, BUNDLE_CONTEXTS, USER_STATES, USED_PASSWORDS, EVENTS,
    MFA_DEVICES, SIGNATURES_BY_END,
)  # fmt: skip

# What a whole row of a table holds; booleans are 0 or 1, times are text in UTC.


class AccountRow(TypedDict):
    """An account."""

    account_id: str
    account_name: str
    canonical_id: str
    created: str
    email: str
    alias: str
    limits: str
    password_policy: str


class KeyPairRow(TypedDict):
    """A key pair; `public_key` is an OpenSSH line."""

    key_pair_id: str
    account_id: str
    key_name: str
    key_type: str
    key_fingerprint: str
    public_key: str
    created: str


class SecurityGroupRow(TypedDict):
    """A security group."""

    group_id: str
    account_id: str
    group_name: str
    description: str
    created: str


class SecurityGroupRuleRow(TypedDict):
    """A rule of a security group, with one peer."""

    security_group_rule_id: str
    group_id: str
    is_egress: int
    ip_protocol: str
    from_port: int | None
    to_port: int | None
    cidr_ipv4: str | None
    cidr_ipv6: str | None
    referenced_group_id: str | None
    referenced_user_id: str | None
    description: str
    referenced_name: str | None


class ImageRow(TypedDict):
    """An image; `settings` and `product_codes` are JSON."""

    image_id: str
    account_id: str
    name: str
    description: str
    image_location: str
    image_type: str
    architecture: str
    platform: str
    virtualization_type: str
    kernel_id: str | None
    ramdisk_id: str | None
    root_device_name: str
    state: str
    state_reason: str
    is_public: int
    size: int | None
    digest: str | None
    manifest_digest: str | None
    settings: str
    created: str
    product_codes: str


class InstanceColumns(TypedDict):
    """What the lists of instances read of a row; `metadata_options` is JSON."""

    instance_id: str
    reservation_id: str
    account_id: str
    ami_launch_index: int
    image_id: str
    kernel_id: str | None
    ramdisk_id: str | None
    instance_type: str
    key_name: str | None
    state: str
    state_code: int
    state_reason_code: str
    state_reason_message: str
    launch_time: str
    state_time: str
    state_clock: str
    availability_zone: str
    architecture: str
    virtualization_type: str
    mac_address: str | None
    private_ip_address: str | None
    private_dns_name: str | None
    wanted: str
    metadata_options: str
    monitoring: int
    root_device_name: str
    shutdown_behavior: str
    disable_api_termination: int
    disable_api_stop: int
    launch_state: str
    vcpus: int
    memory_mb: int
    public_address: int


class InstanceRow(InstanceColumns):
    """An instance: all columns of its row."""

    public_key: str | None
    terminated_time: str | None
    user_data: bytes | None
    wanted_reason: str
    disk_gb: int
    domain_uuid: str
    request_id: str
    wanted_request_id: str
    stopped_time: str | None


class ReservationRow(TypedDict):
    """A reservation."""

    reservation_id: str
    account_id: str
    client_token: str | None
    request_digest: str | None
    created: str
    created_clock: str


ROW_TYPES = {
    "accounts": AccountRow,
    "key_pairs": KeyPairRow,
    "security_groups": SecurityGroupRow,
    "security_group_rules": SecurityGroupRuleRow,
    "images": ImageRow,
    "instances": InstanceRow,
    "reservations": ReservationRow,
}
