-- key 9fd207b141022060d0d6057b1f55101fe402c7f6c1d1b2e8b09b77a950b12fe9
BEGIN TRANSACTION;
CREATE TABLE access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
INSERT INTO "access_keys" VALUES('AKIAT4JNGIHYV275EUDM','AIDATALDHRML2XZTDAFQ',X'94841A8AE3EEA017B56DBB32CB27B7BB234CB89D7D73218864107F956923F3033FDA721FE161007500C99399FC5819FFCC66DAF37FBE4A20E31E399A3E18FDACAFAEE197','Active','2026-11-30T06:02:42.237Z');
INSERT INTO "access_keys" VALUES('AKIAZ633KHD4CBB5TD75','AIDASTFTM2NLHGKQQE5P',X'19FFB5E8C1EFC6F00606E0925CD9F80AAE148E9003864E5BBBB658BAF8576B815A6FF0E041DB0044D94D6F9A59F9388402C6ED05DCF2B2BA59E7BFC7708FC0E82FBB2F6C','Active','2026-11-30T06:02:42.890Z');
CREATE TABLE accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null);
INSERT INTO "accounts" VALUES('593024608088','eucalyptus','94c99e07dabc13bb9436e40f25f8c2724954c1b2f9b59e9d9c4a80036f84692e','2026-11-30T06:02:42.231Z');
INSERT INTO "accounts" VALUES('269005861035','alice','e24d86f3f06e1ca0109be6e966f53d8d8c2d7657a1abbbc4e842a29996afe707','2026-11-30T06:02:42.890Z');
CREATE TABLE certificates (certificate_id text primary key,
  user_id text not null references users, certificate text not null, private_key blob,
  status text not null, created text not null);
INSERT INTO "certificates" VALUES('H4DJXFMJIU4GWWVT4G626XG7','AIDATALDHRML2XZTDAFQ','-----BEGIN CERTIFICATE-----
MIIDKDCCAhCgAwIBAgIUOLJVLL57iMH5Nc1JbaQaQJ7xA1YwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQyWhcNMzExMTI5MDYwMjQyWjAbMRkwFwYDVQQDDBBldWNhbHlw
dHVzL2FkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqDjvL+y3
w2b2yzkyQF7mD/EoJ5H7g1P9Z4d4uKAtBX5NYlP7PK/WkU0SoDetd2LXvwvag4/4
V55gtqc9xx8BL70HnO42yFgqHfAynBIYgxKgkY+rSqFygks+N0aeiuvAm5nujNQb
nwCrnyW7bkuXIJJE9Mi7ey+Fx2PdmeKzvZf1BkKLygN46Q+9ZzE30E6+7RlHhQkO
kb/tWwluH0VH/A8Hl6V19JequAnMfnZQvFTnXxDgsDkozc65EizXYbNXrWYVytFf
ZImrahzWuhJuZdtuORi4gUWpTzyQeZK+zWQGAM9OVyCvtKAqWYIEoNPOtJLrEwDl
+fA8r97+8bCmaQIDAQABo1cwVTATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4E
FgQU57yKpMvg7nHhgc9D5bEGOlovlkEwHwYDVR0jBBgwFoAU/dPUx3Yppb44nOoQ
Vm0VVIOD29EwDQYJKoZIhvcNAQELBQADggEBAJugwTHngVDDhFCuNH5rj53C8d5d
v8/W688ixA07qV6wRrvIlmEK9KBQMgv+j45d0RMadpT+6NzBW9k7w9ri85MSDDDq
dn+WLYn+PFsXqg8DESkmNEQ2vc7WhqL9eR9Yycdk+fNwM9AGNc4Lx2H7eu7q5glt
xETTpwLYiuksY0CfUQmzsQ6u/TfsGlgaa8q3EdkvCdAoHLMTVv1Gd4o14H2sN8zZ
k6lgHIkCbIyt+aU0x68GFVHlvaD3o0gUpDImo39XeMGV8MS4eaaUUYGySVxE5dTa
c9AywdiVGmADogy4TYeD1OQYV90N+UUXoh3wjT5pskQforw/byoZqsAaXPk=
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:42.882Z');
INSERT INTO "certificates" VALUES('LQZZKLKPLWLU5DZJIQTFN7QF','AIDASTFTM2NLHGKQQE5P','-----BEGIN CERTIFICATE-----
MIIDIzCCAgugAwIBAgIUJEkte/LoHF8ytarkSxr0jvK473AwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQzWhcNMzExMTI5MDYwMjQzWjAWMRQwEgYDVQQDDAthbGljZS9h
bGljZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAN+wQQRd1B2OvMnF
bW7WrHCDc69mmGbLtIULmHifNq2M1H2nsp+mCZDPoCUeP3hKjy2Ym/FJwlXxcMMl
cxmgOaKfrLp3fEITO4aYR6AWw1kh4X6QaVGMs5GIPu1qhdFV2vQ1u6G9LljMA8wB
al9t7Dx9vwcV/JcQIgHuwwfQV8UT+tFFP6DjrPeWKUP4iWoHT26WqPfkPG1YomrL
z4/ZJdlggbjCYwsiGLBDP1VZVAZQOWu5MlSfALA4oqdOSxN6DcciGBKm977Mkplr
nhSbPzCtY8V9xqk2/ffGC+Cqe2rJ9+zwGV1Zx6VO+QIUxpUYNGUaTLLzybpnIaGn
ZYIqjGkCAwEAAaNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFOx9
De6QDch9hK22Dcv99T2KupVhMB8GA1UdIwQYMBaAFP3T1Md2KaW+OJzqEFZtFVSD
g9vRMA0GCSqGSIb3DQEBCwUAA4IBAQBCoJku1S4+QnugZdDl2KOuS0jwIKu4rUzl
C0Ck13DgQBK4ZQkVywxlSO2da8lQTPwDzDh4dffnCOBLIOCamIhnjfmJWhJ3Ga8T
F+Kkj5Fw0jDvEDm8M/bE//aMp5Jktib6rim8JL3iXxLxH6TlfPvEHmjcMje2ZEqr
uLHIVpe5/Z/j3kR730PsNHUnObasD0PntLEoTatEqBCOVq5ySOVvLybr8+YahAq9
3sU/RJbTpzhGLs0iWcF+72xdXMfdjpwekZ1OOko26ppWQT7IYPfwKojxg5jpGmE1
CcAG0WMDKXhoKncyboZO5FLUdT0SCneIeGNRMhcq8dwmlhk7jRl3
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:43.118Z');
CREATE TABLE images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null);
INSERT INTO "images" VALUES('ami-0123456789abcdef0','269005861035','tiny','','images/tiny.manifest.xml','machine','x86_64','','hvm',NULL,NULL,'','available','',0,NULL,NULL,NULL,'{}','2026-11-23T01:00:00.000Z');
CREATE TABLE instance_groups (instance_id text not null references instances on delete cascade,
  group_id text not null references security_groups, primary key (instance_id, group_id));
INSERT INTO "instance_groups" VALUES('i-0123456789abcdef0','sg-0123456789abcdef0');
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
  disable_api_termination integer not null default 0, request_id text not null default '', wanted_request_id text not null default '');
INSERT INTO "instances" VALUES('i-0123456789abcdef0','r-0123456789abcdef0','269005861035',0,'ami-0123456789abcdef0',NULL,NULL,'m1.small',NULL,NULL,'running',16,'','','2026-11-23T01:00:00.000Z','2026-11-23T01:01:00.000Z',NULL,'eucabox-1a','x86_64','hvm','02:00:00:00:00:01','10.200.0.5',NULL,NULL,'','','{}',0,1,256,2,'00000000-0000-4000-8000-000000000001','/dev/sda1','','terminate',0,'','');
CREATE TABLE key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
CREATE TABLE reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null);
INSERT INTO "reservations" VALUES('r-0123456789abcdef0','269005861035','once','d','2026-11-23T01:00:00.000Z');
CREATE TABLE security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '');
INSERT INTO "security_group_rules" VALUES('sgr-0123456789abcdef0','sg-0123456789abcdef0',0,'tcp',22,22,'0.0.0.0/0',NULL,NULL,NULL,'');
CREATE TABLE security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
INSERT INTO "security_groups" VALUES('sg-0123456789abcdef0','269005861035','default','default group','2026-11-23T01:00:00.000Z');
CREATE TABLE settings (key text primary key, value text not null);
INSERT INTO "settings" VALUES('seen','yes');
CREATE TABLE tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
INSERT INTO "tags" VALUES('i-0123456789abcdef0','269005861035','instance','Name','first');
CREATE TABLE used_signatures (signature text primary key, expires text not null, first_used text not null default '');
CREATE TABLE users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
INSERT INTO "users" VALUES('AIDATALDHRML2XZTDAFQ','593024608088','admin','/',1,'2026-11-30T06:02:42.231Z');
INSERT INTO "users" VALUES('AIDASTFTM2NLHGKQQE5P','269005861035','alice','/',0,'2026-11-30T06:02:42.890Z');
CREATE INDEX rules_by_group on security_group_rules (group_id);
CREATE UNIQUE INDEX one_reservation_a_token on reservations (account_id, client_token)
  where client_token is not null;
CREATE INDEX instances_by_state on instances (state);
CREATE INDEX instances_by_account on instances (account_id, launch_time);
CREATE INDEX instances_by_address on instances (private_ip_address);
CREATE INDEX instances_of_group on instance_groups (group_id);
COMMIT;
PRAGMA user_version = 3;
