-- key c8e6a0447fb040cc4c84d11b9daee64984296a13c0941c3450af577eed57dfa1
BEGIN TRANSACTION;
CREATE TABLE access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
INSERT INTO "access_keys" VALUES('AKIAAFDL57SGCZVQ3WPY','AIDA6GUU4IGOYBA4GUF4',X'9FBC673D6BC62F7C406D1B204D77C0C3776F2192076974E6C923AB34580B5162B6BA4EB18A0726B9D3FA427D30B7F9A22CC29E2D6A7DFE6C50FD06232AC2B26DE95EDFC8','Active','2026-11-30T06:02:44.275Z');
INSERT INTO "access_keys" VALUES('AKIA2YMO7VXD36PHAHMZ','AIDAV2E363AZ6IZX7SDZ',X'3FA747A71A2B1BCA7FC870EA87A0D57DB9C6A3E79526AF3D145FD8D744D623365689FFBB658D4379ACF39A7614DC9975ABCB6EF7C00FCE1AF3A70A6F828D9DFAD525F20F','Active','2026-11-30T06:02:44.906Z');
CREATE TABLE accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null);
INSERT INTO "accounts" VALUES('208241933868','eucalyptus','84e484e5462a6ca7acd4531cb6be928587ce3034d49d3e4cc6928be0ab275802','2026-11-30T06:02:44.274Z');
INSERT INTO "accounts" VALUES('689153328970','alice','8d8c2902083aa50f1303d85491ac19b41d39b2916583ee919d9f7997623115e5','2026-11-30T06:02:44.905Z');
CREATE TABLE certificates (certificate_id text primary key,
  user_id text not null references users, certificate text not null, private_key blob,
  status text not null, created text not null);
INSERT INTO "certificates" VALUES('PZHR5YRLA2XSFM6VR52ASNL4','AIDA6GUU4IGOYBA4GUF4','-----BEGIN CERTIFICATE-----
MIIDKDCCAhCgAwIBAgIUa0Xobppz3vfdVgnEupoukMconeEwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ0WhcNMzExMTI5MDYwMjQ0WjAbMRkwFwYDVQQDDBBldWNhbHlw
dHVzL2FkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzU2uOfBe
lXfbsdoYkYuwY8Jo1sqO0INCI7H32hod83EjxkSgA6skf40f2+9jgbQVFQNbA7bc
MX/Dy4hDkSfvwwLobXo/GA/f627yBGvs71Yn7bpD0vhD6dZ2HUUu/FRIcyoi+C4M
VVM1SzaoNF+swT3FPKD/NIL19TdzIKZaXglqeYLYzfAgVrtWBG71JWVVG/gUB/C8
kkrdsbFMZx5l3dNfX6f6k5315OJYvCQv3IcesTVy9hQ9/Wjtsg3xPzxMcHg01E0G
kUmZYLcuC1DDbcfms1nSL1FtLotuQw5b6vccXL1MC58cnHFFOpMN1/bsc3/hXPym
nRtxya1omI5biwIDAQABo1cwVTATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4E
FgQUkqN4skXAFv7JXaKJ+V12h0FWTDYwHwYDVR0jBBgwFoAUkZ5o3AfTV2/FAOax
ABdLhFgXU70wDQYJKoZIhvcNAQELBQADggEBACOJFeGulSZQnJzC7uOOBflhh0kJ
ro9fWiofpYJV14VwOBLo9v82fFvfbJBmtetjY224Gw8avCqcH7YdncND5JoTB/91
FHAoURtQzHPlrnRUhyNxvI1BAmdMnnGrxTIDoEIcmsSUAIUkOID8eh3Tq5yN6Ect
+KWjoWThZ3HekKUhy6b22EUn3Mpt0M80052fBqAdUEiz5CfJEFDVzOJdtbU9V1Pr
oAVByZp6X2eSz8Wxth1pA7UkBEfjo7TS10ppxqooQV1JZsVYhao3TnXe7netNEsX
4eWPbGMh6Jbi50eMCjKKI6rd5RydcEdARnYUFut0Yisb8ZrFeMfXcZ4R6zo=
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:44.894Z');
INSERT INTO "certificates" VALUES('XW4ADV6UJZRD5TVBRT3TFGGN','AIDAV2E363AZ6IZX7SDZ','-----BEGIN CERTIFICATE-----
MIIDIzCCAgugAwIBAgIUKqIii6E7u7Gtzherm6PW8r8ImNMwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ0WhcNMzExMTI5MDYwMjQ0WjAWMRQwEgYDVQQDDAthbGljZS9h
bGljZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBALVzK0GJ1g3HG/Ij
ODi4HBOYs3bPcwTTVu5LxpFssI0TQszbRA04inEAnZgPNiax7+AX/RT2yEGulxq5
YOjzc8syKoNx2tS1B0bx0MaMEBqnRK270p9FCnsrBOkCZD4mpcWuagN6Kxt2vk4q
+zL+SHoGwq48tfnlaheXdeA4UXusgfUAQkr9EA78do6jwp8d7/brxcnIJgx6L8Na
pl5bci5EG1rknNH9Jn42JijjoPj4GEEpCKeDVkW9DW9Hkk2jNCspKyNr6AV1cLOq
K0YVkoEOJAltT5p5tGvFlZ5Wa25CxJqnwF/zOkTCbmyi+EoWoH5avIDpt04lEfNI
Q9/M44sCAwEAAaNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFI7n
cshOn1FyEgX5+5SCZ2tazUxgMB8GA1UdIwQYMBaAFJGeaNwH01dvxQDmsQAXS4RY
F1O9MA0GCSqGSIb3DQEBCwUAA4IBAQArvSHp7xJAyYPrgaZcaZXiASFZ6j94i9KO
4i0XNNP+A91b+i+Z7ll3NqQXqrFO9cqVHf5CjsuQC7lFXJwyHpE/a36R32w3rUOx
C8qlI4dCB/zT2W4ER1MKMRtiK/Z6RmYL9fPqwllKp1PF0t8aTNiL7VzGwE6uEoBl
FF/VB4fEIXwk7277km69bxG2/rGImh0z6XB9uamog/mjnbl9eEkfNTb7h4R2sikV
NapG9VFyxyP0ZZNQ4+FY8Kwwj2R1lUX8mxenjBhkqbx2HrjWC7rBFu5lCoAulvBW
qnjntd7RfGOq6A/WUXO9gsx7ONTAKxf46RTB6iXZVH4Y1J8lWxDm
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:44.943Z');
CREATE TABLE images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null, product_codes text not null default '[]');
INSERT INTO "images" VALUES('ami-0123456789abcdef0','689153328970','tiny','','images/tiny.manifest.xml','machine','x86_64','','hvm',NULL,NULL,'','available','',0,NULL,NULL,NULL,'{}','2026-11-23T01:00:00.000Z','[]');
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
  disable_api_termination integer not null default 0, request_id text not null default '', wanted_request_id text not null default '', stopped_time text, disable_api_stop integer not null default 0);
INSERT INTO "instances" VALUES('i-0123456789abcdef0','r-0123456789abcdef0','689153328970',0,'ami-0123456789abcdef0',NULL,NULL,'m1.small',NULL,NULL,'running',16,'','','2026-11-23T01:00:00.000Z','2026-11-23T01:01:00.000Z',NULL,'eucabox-1a','x86_64','hvm','02:00:00:00:00:01','10.200.0.5',NULL,NULL,'','','{}',0,1,256,2,'00000000-0000-4000-8000-000000000001','/dev/sda1','','terminate',0,'','',NULL,0);
CREATE TABLE key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
CREATE TABLE launch_permissions (image_id text not null references images on delete cascade,
  account_id text not null, primary key (image_id, account_id));
CREATE TABLE reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null);
INSERT INTO "reservations" VALUES('r-0123456789abcdef0','689153328970','once','d','2026-11-23T01:00:00.000Z');
CREATE TABLE security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '');
INSERT INTO "security_group_rules" VALUES('sgr-0123456789abcdef0','sg-0123456789abcdef0',0,'tcp',22,22,'0.0.0.0/0',NULL,NULL,NULL,'');
CREATE TABLE security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
INSERT INTO "security_groups" VALUES('sg-0123456789abcdef0','689153328970','default','default group','2026-11-23T01:00:00.000Z');
CREATE TABLE settings (key text primary key, value text not null);
INSERT INTO "settings" VALUES('seen','yes');
CREATE TABLE tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
INSERT INTO "tags" VALUES('i-0123456789abcdef0','689153328970','instance','Name','first');
CREATE TABLE used_signatures (signature text primary key, expires text not null, first_used text not null default '');
CREATE TABLE users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
INSERT INTO "users" VALUES('AIDA6GUU4IGOYBA4GUF4','208241933868','admin','/',1,'2026-11-30T06:02:44.274Z');
INSERT INTO "users" VALUES('AIDAV2E363AZ6IZX7SDZ','689153328970','alice','/',0,'2026-11-30T06:02:44.905Z');
CREATE INDEX rules_by_group on security_group_rules (group_id);
CREATE UNIQUE INDEX one_reservation_a_token on reservations (account_id, client_token)
  where client_token is not null;
CREATE INDEX instances_by_state on instances (state);
CREATE INDEX instances_by_account on instances (account_id, launch_time);
CREATE INDEX instances_by_address on instances (private_ip_address);
CREATE INDEX instances_of_group on instance_groups (group_id);
CREATE INDEX launch_permissions_by_account on launch_permissions (account_id);
COMMIT;
PRAGMA user_version = 5;
