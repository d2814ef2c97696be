"""Accounts, users, access keys and certificates in the database; verifies no signature."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from eucabox import ascii_text, ids, steady_clock
from eucabox.config import Config
from eucabox.errors import (
    EmailTaken,
    InvalidParameterValue,
    NoActiveCredential,
    NoSuchUser,
    UserExists,
)
from eucabox.iam.caller import Caller, Credential
from eucabox.iam.certificate_authority import CertificateAuthority
from eucabox.iam.sessions import TEMPORARY, Sessions, secret_purpose
