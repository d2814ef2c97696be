"""Who gets an account: requests for one, the administrator's decision, confirmation, new passwords
and the very first one. Knows no page; its letters hold links to pages.

No answer, and no time until it, tells whether there is an account with a name or an address: the
letters alone do. Passwords are hashed as they come; of a code only the hash is kept.
"""

from eucabox.iam.sign_up.first_run import FirstRun as FirstRun
from eucabox.iam.sign_up.form import AccountForm as AccountForm
from eucabox.iam.sign_up.recovery import Recovery as Recovery
from eucabox.iam.sign_up.sign_ups import SignUps as SignUps
