"""Letters that leave: what they are, the queue they wait in, and the thread that sends them.

Whoever has something to tell posts a letter within the transaction of what it tells of. This room
knows no account and no code.
"""

from eucabox.mail.letter import Letter as Letter
from eucabox.mail.queue import MailQueue as MailQueue
from eucabox.mail.sender import MailSender as MailSender
