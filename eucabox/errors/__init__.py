"""Every fault a caller can meet, as an AWS code and a text; never an HTTP status or an envelope."""

from eucabox.errors.authorization import *
from eucabox.errors.backup import *
from eucabox.errors.bucket_settings import *
from eucabox.errors.common import *
from eucabox.errors.ec2 import *
from eucabox.errors.fault import Fault as Fault
from eucabox.errors.forms import *
from eucabox.errors.iam import *
from eucabox.errors.s3 import *
from eucabox.errors.sign_up import *
from eucabox.errors.signatures import *
from eucabox.errors.sts import *
from eucabox.errors.vpc import *
