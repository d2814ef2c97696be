"""Signing keys: AWS's published key, and that the cache forgets."""

from eucabox.wire.sign import signing_keys
from eucabox.wire.sign.signing_keys import Scope, SigningKeys
from tests.wire.sign import signer

PUBLISHED = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_the_published_key() -> None:
    scope = Scope("AKIDEXAMPLE", "20150830", "us-east-1", "iam")
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert SigningKeys().key(scope, secret).hex() == PUBLISHED
    assert str(scope) == "20150830/us-east-1/iam/aws4_request"


def test_a_changed_secret_is_a_changed_key() -> None:
    known, scope = SigningKeys(), Scope("K", "20130524", "us-east-1", "s3")
    first = known.key(scope, "old")
    assert known.key(scope, "old") == first
    assert known.key(scope, "new") != first
    assert known.key(scope, signer.SECRET) == signer.signing_key()


def test_the_cache_is_bounded() -> None:
    known = SigningKeys()
    for number in range(signing_keys._MOST_KEYS + 10):
        known.key(Scope("K", "20130524", str(number), "s3"), "secret")
    assert len(known._keys) == signing_keys._MOST_KEYS
    assert Scope("K", "20130524", "0", "s3") not in known._keys
