-- key fab0562aed1f19989b650ae4321f144a86d22e939a54c973d53edf497637708e
BEGIN TRANSACTION;
CREATE TABLE access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
INSERT INTO "access_keys" VALUES('AKIADWYULTKLMCVZKDWI','AIDAAA4SMICHZ6GDVQFC',X'E5536B0E693AB6CF215365EBDD5AB9C78C0E9A591C3DD4A9FB498D4CFDBAD0E8118DC605400BCFBD5BD76DCB5703F312AEDE3EB127EA0217A9E8C6203E357DA904F54D1C','Active','2026-11-30T06:02:48.991Z');
INSERT INTO "access_keys" VALUES('AKIAOEOFV6WDNTRMJMMV','AIDAQSHQQQOT3Z2R5WSG',X'501F602B92935CD141612A16ED4356C838DB14779F0398AA657E8ADF4FD0D2B8E376B5B314070FEED202DEBDB73A7D0A77664D00A087BAF85D2664C69CCDE05CE03FE1CB','Active','2026-11-30T06:02:49.230Z');
CREATE TABLE accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null, email text not null default '');
INSERT INTO "accounts" VALUES('817770360636','eucalyptus','afaeeee248377c1a3895454b2681030d41bf9b26590dffa9582fa6e4648828c7','2026-11-30T06:02:48.990Z','');
INSERT INTO "accounts" VALUES('443425342591','alice','82618c954c5126e84698433f1c46e12cbb3fa12870479c47d4f8ae671faf65c9','2026-11-30T06:02:49.230Z','');
CREATE TABLE bundle_tasks (bundle_id text primary key, instance_id text not null,
  account_id text not null, user_id text not null, owner text not null, bucket text not null,
  prefix text not null,
  state text not null, progress integer not null default 0, error_code text not null default '',
  error_message text not null default '', start_time text not null, update_time text not null,
  image_id text, no_reboot integer not null default 0, copied integer not null default 0,
  restart integer not null default 0);
CREATE TABLE certificates (certificate_id text primary key,
  user_id text not null references users, certificate text not null, private_key blob,
  status text not null, created text not null);
INSERT INTO "certificates" VALUES('NBKRKEYY6WXGIKO5KXEHVMTL','AIDAAA4SMICHZ6GDVQFC','-----BEGIN CERTIFICATE-----
MIIDKDCCAhCgAwIBAgIUTk7oz9u6UVjASdFjS2NWfPznm6IwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ5WhcNMzExMTI5MDYwMjQ5WjAbMRkwFwYDVQQDDBBldWNhbHlw
dHVzL2FkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsveGMnfp
l/kNJzbJLHHAVQQisO8hZZV4p50+wkHuejYS0dItvSErWI/Asww6QI74IA/gqU0Z
/JFyWzjMu4eJhHwV6I/H4wG/oufau/eMuriNuehcMA/jrA5jaaaOaU3G6nyoyHHn
JwimXpJwA6hEwBHxGKOXS08sGvvhITQZFbDM7U3lPzVIfVlx8wUC5YwV82/oMkA8
ItaK5fVUwJOT3iQoZZZ7HU7LA7b36Oi+2jCUmNUZss3guGW5bkPb1sMjOuYISL8h
pMqtagyVuaubbkagzL1xRb/dyKZw1mTMXfFhXEkPOIiO6gdzZum7tWj88+Y8xPpW
yxv6om04xwtdSQIDAQABo1cwVTATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4E
FgQUh3ZzBq0hhytwofJ6xdfX8Y/60uEwHwYDVR0jBBgwFoAUB2L5BGnLkXyY8nph
qgDYucia7cMwDQYJKoZIhvcNAQELBQADggEBAKCpSc87gJG/EE8LYOf8eBTGMAh3
EqwhOTzH/nzerPB34i8CMuIzOsh3sLiPCA0NrsV02nWoW9hCD2a97G26b8ibrWyH
KXanlw7uqfP77JhnRohzUYKjZXGNvU/JLHQJ1NAuK+h+gerIH4u2W/Bv6GqfDLyo
vIXQbSAdLsJH9s0qHqJGQS3Qs8sG3fY4+ujS0XJ5RmXl2p4T9/6lve7H9pdkSmIC
anllmfhuBZpTKiA7ye2BsxGcYnvNBUbEvR02b5kNfm9XpZT9yxNMN+DlzZmKrKTO
/5XTQYgKsemsW4pvn3DhIkZu3Wrx4+A9IUV1DL67rNaF06nmV17LQSoHZ5g=
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:49.226Z');
INSERT INTO "certificates" VALUES('6ITPFOSBG3AJNNYG7F25I3YJ','AIDAQSHQQQOT3Z2R5WSG','-----BEGIN CERTIFICATE-----
MIIDIzCCAgugAwIBAgIUKlovnlGun0Uj5SSlA4i7BDxj4ZkwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ5WhcNMzExMTI5MDYwMjQ5WjAWMRQwEgYDVQQDDAthbGljZS9h
bGljZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAMo9DHY1mz3/BZtI
vO0WeccZoT6OqbtV6g+xAz3atThWMHMBbSNMV3swRuHiORgqWJa1+oEezWzwu/r3
Z6iAOBGlQfCRYDP243ktrOeNuzpJj1c8wLwsuMGvEJcqWh9UYO2D07cfosbqs+PO
H0jQJlqy30i66cP5HAKBplsiJ+h+wKxUyAUkOi3jKJ7Gbs2iXnfdW+64MvZ1jutL
SAjNul7eHRqMZApojTvomGyGHzcsfyePItvHlVg0NnKd0PpYYUmz6WiqIXWDScMs
vpKd+KXK5mG+EXjp/zvvPjH40GWMrg7+kGAzlZrXgUxy3gKpN9BYwcZ89xygGGTY
au5/H/cCAwEAAaNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFFl1
yrtcGAv1/8TtVzc/kdMZ4cpSMB8GA1UdIwQYMBaAFAdi+QRpy5F8mPJ6YaoA2LnI
mu3DMA0GCSqGSIb3DQEBCwUAA4IBAQCHuD1glmkX5TYlBwiufAisM+AluwdYt8vL
n0NszlKbhU6/ynXeFsR2nfvl1bj46g6RJfRko5XPxLpR7vjplswMeursWXbGrnXQ
Vh5byGm8XFpyuseNWiuKAMppsgeTB0QLmOs6jGA/U16BaFc1LfyqLcCKR5iFUItN
OE0fOoR6nqAqIGS2zKJk1KU4bbyHp5XpNPNXMbeYdjDvEgNlaQEtdkuVMpH2U0J7
d/n02nK8CHwFaVfutj8f8varW8B/2Ju75PY9N/56L5WJ7itFMoeG2Ub4hu0o74tm
gFqpH7PtyNFaTAj9u0eaHp4vcbSaQ8f3QROWo0u5UfL6TWZwpo9v
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:49.388Z');
CREATE TABLE images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null, product_codes text not null default '[]');
INSERT INTO "images" VALUES('ami-0123456789abcdef0','443425342591','tiny','','images/tiny.manifest.xml','machine','x86_64','','hvm',NULL,NULL,'','available','',0,NULL,NULL,NULL,'{}','2026-11-23T01:00:00.000Z','[]');
CREATE TABLE instance_groups (instance_id text not null references instances on delete cascade,
  group_id text not null references security_groups, primary key (instance_id, group_id));
INSERT INTO "instance_groups" VALUES('i-0123456789abcdef0','sg-0123456789abcdef0');
CREATE TABLE instance_types (name text primary key, vcpus integer not null,
  memory_mb integer not null, disk_gb integer not null);
CREATE TABLE instances (instance_id text primary key,
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
  disable_api_termination integer not null default 0, request_id text not null default '', wanted_request_id text not null default '', stopped_time text, disable_api_stop integer not null default 0, public_address integer not null default 1, state_clock text not null default '');
INSERT INTO "instances" VALUES('i-0123456789abcdef0','r-0123456789abcdef0','443425342591',0,'ami-0123456789abcdef0',NULL,NULL,'m1.small',NULL,NULL,'running',16,'','','2026-11-23T01:00:00.000Z','2026-11-23T01:01:00.000Z',NULL,'eucabox-1a','x86_64','hvm','02:00:00:00:00:01','10.200.0.5',NULL,NULL,'','','{}',0,1,256,2,'00000000-0000-4000-8000-000000000001','/dev/sda1','','terminate',0,'','',NULL,0,1,'');
CREATE TABLE key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
CREATE TABLE launch_permissions (image_id text not null references images on delete cascade,
  account_id text not null, primary key (image_id, account_id));
CREATE TABLE reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null, created_clock text not null default '');
INSERT INTO "reservations" VALUES('r-0123456789abcdef0','443425342591','once','d','2026-11-23T01:00:00.000Z','');
CREATE TABLE security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '', referenced_name text);
INSERT INTO "security_group_rules" VALUES('sgr-0123456789abcdef0','sg-0123456789abcdef0',0,'tcp',22,22,'0.0.0.0/0',NULL,NULL,NULL,'',NULL);
CREATE TABLE security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
INSERT INTO "security_groups" VALUES('sg-0123456789abcdef0','443425342591','default','default group','2026-11-23T01:00:00.000Z');
CREATE TABLE settings (key text primary key, value text not null);
INSERT INTO "settings" VALUES('seen','yes');
CREATE TABLE tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
INSERT INTO "tags" VALUES('i-0123456789abcdef0','443425342591','instance','Name','first');
CREATE TABLE used_signatures (signature text primary key, expires text not null, first_used text not null default '');
CREATE TABLE users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
INSERT INTO "users" VALUES('AIDAAA4SMICHZ6GDVQFC','817770360636','admin','/',1,'2026-11-30T06:02:48.990Z');
INSERT INTO "users" VALUES('AIDAQSHQQQOT3Z2R5WSG','443425342591','alice','/',0,'2026-11-30T06:02:49.230Z');
CREATE INDEX rules_by_group on security_group_rules (group_id);
CREATE UNIQUE INDEX one_reservation_a_token on reservations (account_id, client_token)
  where client_token is not null;
CREATE INDEX instances_by_state on instances (state);
CREATE INDEX instances_by_account on instances (account_id, launch_time);
CREATE INDEX instances_by_address on instances (private_ip_address);
CREATE INDEX instances_of_group on instance_groups (group_id);
CREATE INDEX launch_permissions_by_account on launch_permissions (account_id);
CREATE INDEX bundle_tasks_by_instance on bundle_tasks (instance_id)
;
CREATE UNIQUE INDEX one_account_an_email on accounts (email) where email <> ''
;
COMMIT;
PRAGMA user_version = 11;
