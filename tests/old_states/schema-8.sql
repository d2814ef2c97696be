-- key 6c75000fca5923a9deefe0ec18f9c34c93fd84725b9c34dd0f57150a709413dd
BEGIN TRANSACTION;
CREATE TABLE access_keys (access_key_id text primary key, user_id text not null references users,
  secret blob not null, status text not null, created text not null);
INSERT INTO "access_keys" VALUES('AKIAWW3FZ3LWQ7IYUIC3','AIDAGQITOYNC5WFNAZKK',X'E5C9AF97D31F4850122895D46DDC04686E377C65902633DC03C698172ECC61C54BF3C891FEA0A4DAB000DD00FE80220F84E6A1471DAE98EB44D62B4DFEC4F81E347BEC6B','Active','2026-11-30T06:02:45.986Z');
INSERT INTO "access_keys" VALUES('AKIAX5HB2OHJF2GOVNPC','AIDAVD7SMCW6EHMU5L6V',X'AC18A97CB2728C6799A62C968597A1678885D8434908F51F310A867EA11F43EF9D3020FFF29E44B3B1D1B435BC4C5965DB4D3EA8DEC2EED06AF99AD1272F8EB0653BAD8D','Active','2026-11-30T06:02:46.026Z');
CREATE TABLE accounts (account_id text primary key, account_name text not null unique,
  canonical_id text not null unique, created text not null, email text not null default '');
INSERT INTO "accounts" VALUES('286636797418','eucalyptus','f060c1fa76c11cb901296399eb3f8572d0fe24935d65f2d8163333a6f07e09e3','2026-11-30T06:02:45.985Z','');
INSERT INTO "accounts" VALUES('703810842013','alice','275dd6122d2d690728352358f6fed222ecd9e4da77a0d22758bd7ed3047fc99a','2026-11-30T06:02:46.025Z','');
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
INSERT INTO "certificates" VALUES('TQI3ZF4LS4WHJ7SQPYTF5DG6','AIDAGQITOYNC5WFNAZKK','-----BEGIN CERTIFICATE-----
MIIDKDCCAhCgAwIBAgIUT3HyPVuTGryFBOZbenkR7GsNWR0wDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ2WhcNMzExMTI5MDYwMjQ2WjAbMRkwFwYDVQQDDBBldWNhbHlw
dHVzL2FkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwGDwbz87
3rWTmHSgfO/50DmK/s1XrQ3i3KDbBE0KwEtTgTANXxNQ4QRi01C7t5s+rI83Emh9
uNa5DbyTjMMhqaBL3efzmE177ehxgPQrlV1nfqniNB8pAwo5cYbYSy9lGkHTH5dG
zWg+75Wr6/nw9UUgAnlIFglZOJ+Ivaof5Jr/JoYpZ7BoFOpTjaMZQQOwAhhz5ck2
bTID4wGK/yr4kdz/62WIsbPxGwqUYLvGyZXdqaukYOpVP2ESuZAlS98rn/iNLemY
HVgoPEbSuJFMIL0ihJ8E3/SLELgVKIUuXIl4lRQwivRDMW8T8cJjwdHbLeqVjL7D
/Td2za6+N2i2ewIDAQABo1cwVTATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4E
FgQU6OelqKWA37GEK89b/QIC6P5/lH4wHwYDVR0jBBgwFoAUxJ8QdA3dqZI3e9xX
kPg+sl4UWZkwDQYJKoZIhvcNAQELBQADggEBACRBtLvqbbwh1sCiIFfikPfgZlZz
WbAceGU7+lV+dJRf2vYkEUsX/AmePQGc4JHdAES/55kQs8c1YZTAic2SxOM8mmfX
YsEScFK6Gzp1p/VLNVudduc9pUk6tYl8MzITFmiGxdIbJXXIiAswjfamSWbx/lLb
DIayx5XVaXqW9+pET7cGxfLpSg7VqmZ0Wi2XJDEhqEU9hQXKyH3IJWQ1IblvTjd2
RZPCz6mAs23p8dnQfbFLL3mYAlVv1hHqJCgtuzzsUQtBRmas2jjuDouSbhJe/PGX
28l7emigKp+5qHyfuJe+RHGEDfQTtoRs9QKvUSCutyug8eZy5oOcB9nkpDI=
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:46.022Z');
INSERT INTO "certificates" VALUES('643D3S4AGSL5YOEBP33CGRBS','AIDAVD7SMCW6EHMU5L6V','-----BEGIN CERTIFICATE-----
MIIDIzCCAgugAwIBAgIUFIiA8pCWpBWxn6wE2OnnCUxYSFIwDQYJKoZIhvcNAQEL
BQAwKDEmMCQGA1UEAwwdZXVjYWJveCBjZXJ0aWZpY2F0ZSBhdXRob3JpdHkwHhcN
MjYxMTI5MDYwMjQ2WhcNMzExMTI5MDYwMjQ2WjAWMRQwEgYDVQQDDAthbGljZS9h
bGljZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAL0QTFeVP8zozIH8
UYIP1LQPC0g2QLfiW0lfyq3Wnij2uLrvqe5drQjqz3H/Fx7YsnhHJJkQ6UadDW+Q
kxJB/G8DwoFRATK9yLblJyvIXjVy9zdXxooer/bXqGvoZ4aZMOmbJw9+jMIGE/64
Gw5qc+YjYGdeh0EnbpncdSl4l7u1w0NRGL65OoX3hGH/Yy8zwtdMm++JSyyKHSN4
mv2nz5XNKQuxirhgYaf5Uy3fBvyCV6n16UyqLHum1cENjwDEClDQTf0kjuKnRXWG
fwvGg5hd/5zagLNoY7x2Vm3cyaCKAhGw+qHS89uPpu3hctQPPlYNAXbEgHqqC1l9
l/AQgtkCAwEAAaNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFDZ+
x9wh1oS3fLcrM3ZEY8FUjuUOMB8GA1UdIwQYMBaAFMSfEHQN3amSN3vcV5D4PrJe
FFmZMA0GCSqGSIb3DQEBCwUAA4IBAQAgi/LrcSNkwQ12U3g52SEsvvXZ+dzBJTr1
lIh3gWAGFBNvFdeWJ59XzBz5D/Eyd6VkDGeB1k8/mxC3i863ZWQSgwLC3KXrhjiQ
xHAglUVRNCjylbs7xb1IKzkBp1/XiOdObABwiA2rt374yuGMrNDi+eydhr5brDcL
c/c6OLzAHAu/nGkHrtN3W9tHb0O3un2JjdyglYXU8Iuv6bBeX7ii4vqYbARjc2xm
ye3u7b+7b2ja9vUVUMjfzdOxocbMAr28gWg7YAqYE8NLpO2yvC7qq3FJP3rrD/qd
5SGQvhz7h4u3PoyeSdz+NLfupWH18f6T0ImMINZBIsTPtjWjO1y6
-----END CERTIFICATE-----
',NULL,'Active','2026-11-30T06:02:46.099Z');
CREATE TABLE images (image_id text primary key, account_id text not null, name text not null,
  description text not null default '', image_location text not null,
  image_type text not null, architecture text not null, platform text not null default '',
  virtualization_type text not null, kernel_id text, ramdisk_id text,
  root_device_name text not null default '', state text not null,
  state_reason text not null default '', is_public integer not null default 0,
  size integer, digest text, manifest_digest text, settings text not null default '{}',
  created text not null, product_codes text not null default '[]');
INSERT INTO "images" VALUES('ami-0123456789abcdef0','703810842013','tiny','','images/tiny.manifest.xml','machine','x86_64','','hvm',NULL,NULL,'','available','',0,NULL,NULL,NULL,'{}','2026-11-23T01:00:00.000Z','[]');
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
  disable_api_termination integer not null default 0, request_id text not null default '', wanted_request_id text not null default '', stopped_time text, disable_api_stop integer not null default 0);
INSERT INTO "instances" VALUES('i-0123456789abcdef0','r-0123456789abcdef0','703810842013',0,'ami-0123456789abcdef0',NULL,NULL,'m1.small',NULL,NULL,'running',16,'','','2026-11-23T01:00:00.000Z','2026-11-23T01:01:00.000Z',NULL,'eucabox-1a','x86_64','hvm','02:00:00:00:00:01','10.200.0.5',NULL,NULL,'','','{}',0,1,256,2,'00000000-0000-4000-8000-000000000001','/dev/sda1','','terminate',0,'','',NULL,0);
CREATE TABLE key_pairs (key_pair_id text primary key, account_id text not null,
  key_name text not null, key_type text not null, key_fingerprint text not null,
  public_key text not null, created text not null, unique (account_id, key_name));
CREATE TABLE launch_permissions (image_id text not null references images on delete cascade,
  account_id text not null, primary key (image_id, account_id));
CREATE TABLE reservations (reservation_id text primary key, account_id text not null,
  client_token text, request_digest text, created text not null);
INSERT INTO "reservations" VALUES('r-0123456789abcdef0','703810842013','once','d','2026-11-23T01:00:00.000Z');
CREATE TABLE security_group_rules (security_group_rule_id text primary key,
  group_id text not null references security_groups on delete cascade,
  is_egress integer not null, ip_protocol text not null, from_port integer, to_port integer,
  cidr_ipv4 text, cidr_ipv6 text, referenced_group_id text, referenced_user_id text,
  description text not null default '');
INSERT INTO "security_group_rules" VALUES('sgr-0123456789abcdef0','sg-0123456789abcdef0',0,'tcp',22,22,'0.0.0.0/0',NULL,NULL,NULL,'');
CREATE TABLE security_groups (group_id text primary key, account_id text not null,
  group_name text not null, description text not null, created text not null,
  unique (account_id, group_name));
INSERT INTO "security_groups" VALUES('sg-0123456789abcdef0','703810842013','default','default group','2026-11-23T01:00:00.000Z');
CREATE TABLE settings (key text primary key, value text not null);
INSERT INTO "settings" VALUES('seen','yes');
CREATE TABLE tags (resource_id text not null, account_id text not null,
  resource_type text not null, key text not null, value text not null,
  primary key (resource_id, key));
INSERT INTO "tags" VALUES('i-0123456789abcdef0','703810842013','instance','Name','first');
CREATE TABLE used_signatures (signature text primary key, expires text not null, first_used text not null default '');
CREATE TABLE users (user_id text primary key, account_id text not null references accounts,
  user_name text not null, path text not null default '/', admin integer not null default 0,
  created text not null, unique (account_id, user_name));
INSERT INTO "users" VALUES('AIDAGQITOYNC5WFNAZKK','286636797418','admin','/',1,'2026-11-30T06:02:45.985Z');
INSERT INTO "users" VALUES('AIDAVD7SMCW6EHMU5L6V','703810842013','alice','/',0,'2026-11-30T06:02:46.025Z');
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
PRAGMA user_version = 8;
