"""Eucalyptus' own verbs of IAM, as euca2ools sends them."""

import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from tests.live.process import Running


def ask_as_euca2ools(cloud: Running, action: str, **fields: str) -> str:
    """The answer to a form, signed by hand: no model of botocore knows Eucalyptus' verbs."""
    form = {"Action": action, "Version": "2010-05-08", **fields}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"{cloud.endpoint}/services/Euare/"
    request = AWSRequest("POST", url, headers=headers, data=urllib.parse.urlencode(form))
    credentials = Credentials(cloud.access_key, cloud.secret_key)
    SigV4Auth(credentials, "iam", "undefined-1").add_auth(request)
    content: bytes = URLLib3Session().send(request.prepare()).content
    return content.decode()
