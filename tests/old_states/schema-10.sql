-- key 6f46aa025e451d10edf27e0aacf3106091e3a220a36d5d534b998ea91a3768e5
BEGIN TRANSACTION;
CREATE TABLE access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
INSERT INTO "access_keys" VALUES('AKIABJBBS324EGVCHII6','AIDA7BKVPYORARLCSM7J',X'58C1AB54B74B0753F6E6E0ED33BB5E59E195916512149A298BD94495AEE045FA481669ACD5C72A77A6FE44CEF10B2418EB48BF108E19CF5A7DCAE765678DBDC4577B930D','Active','2026-11-30T06:02:47.412Z');
INSERT INTO "access_keys" VALUES('AKIA76UOPLWUBL52VVQM','AIDAS545GAF7XGH27HLU',X'6F9F97B2747813F78C036B9ADBB5EE25FD0525A2C38F7CA14122DD0F05C9D27EF996CF061F82771DBF168BCAF9EE2FDBA4AC8C3F6C321FEE18D93697D6436C0798EC1735','Active','2026-11-30T06:02:47.670Z');
CREATE TABLE accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null, email text not null default '');
INSERT INTO "accounts" VALUES('170418703614','eucalyptus','ba0fb82a5c32e936f73c3ed33238d87e5be994d2502b5b5daaa251a98791057e','2026-11-30T06:02:47.411Z','');
INSERT INTO "accounts" VALUES('831756755137','alice','c425df2e1363dfcdd9be829a6f8e2184693f399d7f86aa8cf7d872000e9c1b32','2026-11-30T06:02:47.669Z','');
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
INSERT INTO "certificates" VALUES('HKK5SSVPCCX3AOKKM7ZUL2W3','AIDA7BKVPYORARLCSM7J','-----BEGIN CERTIFICATE-----
MIIDKDCCAhCgAwIBAgIUBeXSd8jDkBTKJMjfVLXEz8lrFggwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ3WhcNMzExMTI5MDYwMjQ3WjAbMRkwFwYDVQQDDBBldWNhbHlw
dHVzL2FkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA60dxNNAx
Bxjth33koHSvNOQP1wsgpcilFoEq0XcJdzX7k9yxDhEjRyuRukk4YnCf642c8xm+
nS9QJqPjP7SrGlaD2BJqMQUH9VUyA94Rb4rUCSy5fuyuftHZegiRfT4cqhGoU7ZW
1rGolELZLUg2sGehKXdGORixeYwHz+vNFEA/kehpucj1GUFte0yN02kAN4DhYBOd
dFIWlFPYzIXpaBfEDLNHQG6rxx7jNbMr4iLhB+6uuOzjdaHi9QyKksOenfgqY6S8
sF0MgearCTvHBt4uIq2jSzrxkX777Lv0TxLmIIbMInE/oxoUmIyqN0scOf7fvD+G
OvKi6rT33AxTAwIDAQABo1cwVTATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4E
FgQUD8/tMBnzQd2MK3pNa6ukE/tGYeQwHwYDVR0jBBgwFoAUWtiWwry1hIDBgVJa
ZM6kFzWECJ8wDQYJKoZIhvcNAQELBQADggEBAHlwNhbGpnxLHxhoYpn8ALUBFWVT
fDlue3M7pf+0eUCRCs7RY1WhPMFibAGoG8uVUQXUrMNgF1N/Awgr8cCTnJUb2TW2
2PCaUQritXHstAo2w3TIWasszosLlRz0FFj99vo2IKPuCCW7RcmGRt8lPssPYsLH
0Q50KfKsmJy1eqsIIOwRsvJYydeGFSJx5WdvYTot+kjOj7jEDjImr7wb9DnE4XKV
aoLLkmdTNNqgieAu8t4VTIEJaQQ86KG90FAT7EoWmuTfZWEdgb7tPMc6ZHoJyK18
6iRZ/WsRG27w4RQ4ttbNbsl6IE92SNgBMeLq7m3ULG5zTAG6eY5VIO4ZsYw=
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:47.649Z');
INSERT INTO "certificates" VALUES('JSHWOOXRAJI7ELRT4O3LS3KB','AIDAS545GAF7XGH27HLU','-----BEGIN CERTIFICATE-----
MIIDIzCCAgugAwIBAgIUAfmbuz3PmVV3gqknhizIVvfG3oMwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ3WhcNMzExMTI5MDYwMjQ3WjAWMRQwEgYDVQQDDAthbGljZS9h
bGljZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAJvfD/r048LtiGwn
Vhg4k+a6Z6Dam7JCu0FvtQFhVR0gq8bHPMtuIDsFBGSC9R/SD8dRKN9pekZZmBUr
5Z7zvqI7rn5J8IhYJ/QXlgRcyTSNLPjjb/Z5tVz3RVZbaxBWTmedRh+sfiXMxcnc
KFz7pUwCZ9mDTt92US7TCNnOoxJDGSaiBN6h8L5Ki7spt/XjoVBTFVDRNCSXHZEV
oWRI4hoBURDiclCIBpp7YiMILWte8lw2j4MBE2muou64xg8f/EzB9hYlt68P1Fsr
sVD6RPgqx1SWtdxyPeDIh0RPShANU7yhYMhULoF1sP0ei4qYMuvkoMD3av8Uvxy5
1wgPYoUCAwEAAaNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFA/y
ZkmsfmFKfabwUK6JDioxYUsmMB8GA1UdIwQYMBaAFFrYlsK8tYSAwYFSWmTOpBc1
hAifMA0GCSqGSIb3DQEBCwUAA4IBAQBsCwXEcM/yFyn2aeOgmE7QuLN5YREtOhZM
Zq2vf9snkKuc8A985E08yUkeRuex7F3Icq2gJGxlfYgu7N+F6lkgM5fQ9KpCVTza
KWDRGqKajDeeMaEV1TZYgs2GPxLsV0Fx1kRHsvzyIsGbKQ/imY+CYhB0Z4DiN93E
40+02Xe9iblrga4UWpeC+w4UPapU7GcBGJRYuc46XrTFg+rN7xnbNPBq/1f+vJPA
mEHmdSHnaAFLDKk7PGKWUHwDNpJveUn2ijMY1JQHekxzf989klB7ASMzH26GFzk3
I7tDJwpVoSaOte+PVfEdvmdiS/5vJNY3D1qqsPhGw8WNHNVAF/JF
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:47.857Z');
CREATE TABLE images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null, product_codes text not null default '[]');
INSERT INTO "images" VALUES('ami-0123456789abcdef0','831756755137','tiny','','images/tiny.manifest.xml','machine','x86_64','','hvm',NULL,NULL,'','available','',0,NULL,NULL,NULL,'{}','2026-11-23T01:00:00.000Z','[]');
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
  disable_api_termination integer not null default 0, request_id text not null default '', wanted_request_id text not null default '', stopped_time text, disable_api_stop integer not null default 0, public_address integer not null default 1);
INSERT INTO "instances" VALUES('i-0123456789abcdef0','r-0123456789abcdef0','831756755137',0,'ami-0123456789abcdef0',NULL,NULL,'m1.small',NULL,NULL,'running',16,'','','2026-11-23T01:00:00.000Z','2026-11-23T01:01:00.000Z',NULL,'eucabox-1a','x86_64','hvm','02:00:00:00:00:01','10.200.0.5',NULL,NULL,'','','{}',0,1,256,2,'00000000-0000-4000-8000-000000000001','/dev/sda1','','terminate',0,'','',NULL,0,1);
CREATE TABLE key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
CREATE TABLE launch_permissions (image_id text not null references images on delete cascade,
  account_id text not null, primary key (image_id, account_id));
CREATE TABLE reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null);
INSERT INTO "reservations" VALUES('r-0123456789abcdef0','831756755137','once','d','2026-11-23T01:00:00.000Z');
CREATE TABLE security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '', referenced_name text);
INSERT INTO "security_group_rules" VALUES('sgr-0123456789abcdef0','sg-0123456789abcdef0',0,'tcp',22,22,'0.0.0.0/0',NULL,NULL,NULL,'',NULL);
CREATE TABLE security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
INSERT INTO "security_groups" VALUES('sg-0123456789abcdef0','831756755137','default','default group','2026-11-23T01:00:00.000Z');
CREATE TABLE settings (key text primary key, value text not null);
INSERT INTO "settings" VALUES('seen','yes');
CREATE TABLE tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
INSERT INTO "tags" VALUES('i-0123456789abcdef0','831756755137','instance','Name','first');
CREATE TABLE used_signatures (signature text primary key, expires text not null, first_used text not null default '');
CREATE TABLE users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
INSERT INTO "users" VALUES('AIDA7BKVPYORARLCSM7J','170418703614','admin','/',1,'2026-11-30T06:02:47.411Z');
INSERT INTO "users" VALUES('AIDAS545GAF7XGH27HLU','831756755137','alice','/',0,'2026-11-30T06:02:47.669Z');
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
PRAGMA user_version = 10;
