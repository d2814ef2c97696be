-- key 9e86feec44154677689a0d49c8e754418388dd00f6e2a2009abe2599128a9323
BEGIN TRANSACTION;
CREATE TABLE access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
INSERT INTO "access_keys" VALUES('AKIA3NMJBXC7MWI3UQ2Z','AIDATDWR575PI5PT6S6I',X'A15247D1694B3BD8CA1920629B31C857768F511BA32A29C35DD5166E1A15B4555CDC3CA62787C35923571405D94D76D28E0C5E7B760C3768E1A790B48352020D56D6CC86','Active','2026-11-30T06:02:40.803Z');
INSERT INTO "access_keys" VALUES('AKIA3NP3H2CURUR2L6AC','AIDAK2335XQZ6MGHFQV5',X'03E59969E76C349CDDDE54772034897BDDB454CDD00A2ACF0AF79668AFD84D57804FC06E8B102761909318CA6FE20F5C38CFA81D6630BED6F7C8B112C04CE64B0D3B7D61','Active','2026-11-30T06:02:40.842Z');
CREATE TABLE accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null);
INSERT INTO "accounts" VALUES('570667687999','eucalyptus','45a81a8780ad219ff53d46db0cf20748319d016f71b002e5b1bbaee8f133b090','2026-11-30T06:02:40.802Z');
INSERT INTO "accounts" VALUES('594421422546','alice','61c9c388f98e12c01e326e63501124d17c17cc209b1a0e77bccebefabf19057e','2026-11-30T06:02:40.841Z');
CREATE TABLE certificates (certificate_id text primary key,
  user_id text not null references users, certificate text not null, private_key blob,
  status text not null, created text not null);
INSERT INTO "certificates" VALUES('BO4ZBICB2CIEQLJ6P4SVQ3PE','AIDATDWR575PI5PT6S6I','-----BEGIN CERTIFICATE-----
MIIDKDCCAhCgAwIBAgIUEwlhDv1Rnsk2Cx4YcEUVkAeIY5gwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQwWhcNMzExMTI5MDYwMjQwWjAbMRkwFwYDVQQDDBBldWNhbHlw
dHVzL2FkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAutjArgLF
hgi3xcEbKzutJxitxVziM1HguOX0UZKwXF+NTjEVRkp3zl1gEU7YG5LW/q5pLy6P
gvHMaahlZi9ZOY3DXWOCIq6nfWQPDqz6WBtSOQIVOqcQbjLWOIZeSeJFETEXyNDh
YvoSsmN43OJKSGr5E8EUmuz8WnPHNvmeQMISTV+1V/T7N2ZDUYd7DwUw0yJfyLZN
oSPGkLtOys5rz3gJb1H+yA50CGJLrEKNDwWeROnpjlDDLEG8DyMnijPmluBcT3WA
+/NMEkouNvMeNZQkgF3w8wLhZ0dP9puhyMxUjVRUdCbxcGs7cnKwN9kz827L54iK
NG9wdmQuRVX4IwIDAQABo1cwVTATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4E
FgQUYfoMwAgyv8FM1wSxStnwHyNItBAwHwYDVR0jBBgwFoAUpJr2WgpyKHv7JPNC
iylQB7pNuYMwDQYJKoZIhvcNAQELBQADggEBAFEgtJqVadOsKRZ4NO1lv4OoHpvD
SHA8Jw2FHh1Q460MMh/Tp+/QOvSc00VmbrI09QMNKrc817elu408hKTE4u6ruM0K
JYyk0F0SAJDMnilO1l81uqGuUrt1h2nXAoDqEjmllFfQzdz7eIWLMU6lHw5ujmA4
LQMkX0Pcc6VbgI4fXDC4b/4uIYaZyiiT+f+PzerI0sQmonHl6DOHe00KpPMyC0DR
0BpXrEGwF462oLRp2chEGnQHtScuBXvWN3jFwbelYDsVnRMGZWXIWdBJZmkQ6A6V
7JSz4982dvC2ckR540TLz2gpikL6Sp/bNgDsttqHEFQnnNPjZisjKyxQNRQ=
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:40.837Z');
INSERT INTO "certificates" VALUES('C6EUGZQAW5D37QH5SOEC4L3V','AIDAK2335XQZ6MGHFQV5','-----BEGIN CERTIFICATE-----
MIIDIzCCAgugAwIBAgIUeTiVglf3YazeMtZR6A1vhPCIIckwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQwWhcNMzExMTI5MDYwMjQwWjAWMRQwEgYDVQQDDAthbGljZS9h
bGljZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAKgCt4MET0y7saKm
vepyrT5q3y+R3WfcZpp5H1K8aJlXj/sFX4DlGoWAp0d6THkgGonXPW9M2oIk/eeT
6VXVY57vdMPhQYlbu3htGxs2+q4nxtWXChsQqS2aOSKttEap+U3J0FBr+glpdqJm
PkxrRQ1E9fZbplP4fPdQrV4S1k/IHxATcoGJwdTPAqCvYcc3CtRO+csbIGj8bAfj
2umSBmLH8gXMnBN6TMhUhaJ1GbTr/O6huCjhY2Kp6arhRNoxyLSiltBH30kCdb1D
5oxnJXxuJWTDeQTplOGUGYakGMSdZ/yIrecCmdOXtFQcVlcZydQ0ej2MJJhgCfYd
Hr6GpXkCAwEAAaNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFFN8
OUd9BBiyJFRciLFendOf4RqkMB8GA1UdIwQYMBaAFKSa9loKcih7+yTzQospUAe6
TbmDMA0GCSqGSIb3DQEBCwUAA4IBAQCd9i6MWOgRTvEW2Ht889WJGZEWWFt4804W
hyChg0DF0/AItcka6f4u+bvwEPNEiV1ocd0/XB9GGqe157cvdsNeHokuCZc1QMGq
GyuxPb+oE6cKZl5VTG8h9FwTC4veQrj4AmayuRPdQ0kL/5Qi0NRmC1Rkjd9vf9Eq
zjszPooZWEeVsJaVZx64aKlzmiMP751ZzcuRkdCO8FFEoOE8/yDMr0aH62Gxj8e0
r5V17c79vTEGCPmW3drgpJi+G7G+5TYhvzBG3eqTnWlYG06fTJWOwUWnbdQCKnbZ
KAEH+AZ4WUYAeFTQzTv83UTTtv4GhatzRKODinUHdyiVzzWUjSW2
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:40.898Z');
CREATE TABLE images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null);
INSERT INTO "images" VALUES('ami-0123456789abcdef0','594421422546','tiny','','images/tiny.manifest.xml','machine','x86_64','','hvm',NULL,NULL,'','available','',0,NULL,NULL,NULL,'{}','2026-11-23T01:00:00.000Z');
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
  disable_api_termination integer not null default 0);
INSERT INTO "instances" VALUES('i-0123456789abcdef0','r-0123456789abcdef0','594421422546',0,'ami-0123456789abcdef0',NULL,NULL,'m1.small',NULL,NULL,'running',16,'','','2026-11-23T01:00:00.000Z','2026-11-23T01:01:00.000Z',NULL,'eucabox-1a','x86_64','hvm','02:00:00:00:00:01','10.200.0.5',NULL,NULL,'','','{}',0,1,256,2,'00000000-0000-4000-8000-000000000001','/dev/sda1','','terminate',0);
CREATE TABLE key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
CREATE TABLE reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null);
INSERT INTO "reservations" VALUES('r-0123456789abcdef0','594421422546','once','d','2026-11-23T01:00:00.000Z');
CREATE TABLE security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '');
INSERT INTO "security_group_rules" VALUES('sgr-0123456789abcdef0','sg-0123456789abcdef0',0,'tcp',22,22,'0.0.0.0/0',NULL,NULL,NULL,'');
CREATE TABLE security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
INSERT INTO "security_groups" VALUES('sg-0123456789abcdef0','594421422546','default','default group','2026-11-23T01:00:00.000Z');
CREATE TABLE settings (key text primary key, value text not null);
INSERT INTO "settings" VALUES('seen','yes');
CREATE TABLE tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
INSERT INTO "tags" VALUES('i-0123456789abcdef0','594421422546','instance','Name','first');
CREATE TABLE used_signatures (signature text primary key, expires text not null);
CREATE TABLE users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
INSERT INTO "users" VALUES('AIDATDWR575PI5PT6S6I','570667687999','admin','/',1,'2026-11-30T06:02:40.802Z');
INSERT INTO "users" VALUES('AIDAK2335XQZ6MGHFQV5','594421422546','alice','/',0,'2026-11-30T06:02:40.841Z');
CREATE INDEX rules_by_group on security_group_rules (group_id);
CREATE UNIQUE INDEX one_reservation_a_token on reservations (account_id, client_token)
  where client_token is not null;
CREATE INDEX instances_by_state on instances (state);
CREATE INDEX instances_by_account on instances (account_id, launch_time);
CREATE INDEX instances_by_address on instances (private_ip_address);
CREATE INDEX instances_of_group on instance_groups (group_id);
COMMIT;
PRAGMA user_version = 1;
