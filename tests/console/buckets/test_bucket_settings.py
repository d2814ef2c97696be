"""A bucket's settings by forms and by JSON, each refused with the reason of the API."""

import json
from typing import Any

import pytest

from eucabox.bucket import Store
from eucabox.console.bucket_documents import UnreadableError, read_rules, write_document
from tests.console.buckets.conftest import BUCKET, follow
from tests.console.conftest import Visit

AT = f"/buckets/{BUCKET}/settings"


def read(store: Store, setting: str) -> Any:
    return store.bucket(BUCKET).settings.get(setting)


def test_versions_encryption_and_tags(own: Visit, store: Store, bucket: str) -> None:
    follow(own, own.post(f"{AT}/versioning", {"status": "Enabled"}))
    assert read(store, "versioning") == {"status": "Enabled"}
    assert "use Enabled or Suspended" in follow(own, own.post(f"{AT}/versioning", {"status": "x"}))
    page = follow(own, own.post(f"{AT}/encryption", {"algorithm": "AES256", "key": ""}))
    assert 'value="AES256" selected' in page
    follow(own, own.post(f"{AT}/encryption", {"algorithm": "none", "key": ""}))
    assert read(store, "encryption") is None
    page = follow(own, own.post(f"{AT}/tags", {"tag_key": "cost", "tag_value": "7"}))
    assert 'value="cost"' in page
    follow(own, own.post(f"{AT}/tags", {"tag_key": "", "tag_value": ""}))
    assert read(store, "tagging") is None


def test_cors_rules_are_json_as_the_api_has_it(own: Visit, store: Store, bucket: str) -> None:
    rule = {"ID": "one", "AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 60}
    page = follow(own, own.post(f"{AT}/cors", {"document": json.dumps([rule])}))
    assert "AllowedMethods" in page
    kept = {
        "id": "one",
        "allowed_methods": ["GET"],
        "allowed_origins": ["*"],
        "max_age_seconds": 60,
    }
    assert read(store, "cors") == {"cors_rules": [kept]}
    wrong = (
        "nonsense", "{}", "[1]", '[{"AllowedMethods": "GET"}]', '[{"Evil": ["x"]}]',
        '[{"AllowedMethods": ["EVIL"], "AllowedOrigins": ["*"]}]', "[" * 20_000,
    )  # fmt: skip
    for text in wrong:
        refused = own.post(f"{AT}/cors", {"document": text})
        assert refused.status_code == 400, text
        assert 'role="alert"' in refused.text
    assert "&lt;script&gt;" in own.post(f"{AT}/cors", {"document": "<script>"}).text
    follow(own, own.post(f"{AT}/cors", {"document": ""}))
    assert read(store, "cors") is None


@pytest.mark.not_fast
def test_lifecycle_by_a_form_and_by_json(own: Visit, store: Store, bucket: str) -> None:
    form = {"id": "<b>old", "prefix": "logs/", "expire": "30", "noncurrent": "", "abort": "7"}
    page = follow(own, own.post(f"{AT}/lifecycle/add", form))
    assert "expire after 30 days" in page
    assert "uploads are aborted after 7 days" in page
    assert "<b>old" not in page
    twice = own.post(f"{AT}/lifecycle/add", form)
    assert twice.status_code == 400
    assert "unique" in twice.text
    assert own.post(f"{AT}/lifecycle/add", {**form, "expire": "x"}).status_code == 400
    document = json.dumps(
        {
            "Rules": [
                {
                    "ID": "by date", "Status": "Enabled", "Filter": {"Prefix": ""},
                    "Expiration": {"Date": "2030-01-01T00:00:00Z"},
                },
                {
                    "ID": "tags", "Status": "Disabled",
                    "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}},
                    "Transitions": [{"Days": 3, "StorageClass": "GLACIER"}],
                },
            ]
        }
    )  # fmt: skip
    page = follow(own, own.post(f"{AT}/lifecycle", {"document": document}))
    assert "expire on 2030-01-01" in page
    assert len(read(store, "lifecycle")["rules"]) == 2
    unknown = '[{"Status": "Enabled", "Evil": 1}]'
    assert own.post(f"{AT}/lifecycle", {"document": unknown}).status_code == 400
    follow(own, own.post(f"{AT}/lifecycle/remove", {"id": "tags"}))
    assert [rule["id"] for rule in read(store, "lifecycle")["rules"]] == ["by date"]
    follow(own, own.post(f"{AT}/lifecycle", {"document": ""}))
    assert read(store, "lifecycle") is None


def test_documents_are_read_as_they_are_written() -> None:
    rules = [
        {
            "id": "x", "filter": {"and": {"prefix": "a", "object_size_less_than": 5}},
            "expiration": {"expired_object_delete_marker": True},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 3},
        }
    ]  # fmt: skip
    assert read_rules(write_document(rules)) == rules
    assert '"ExpiredObjectDeleteMarker": true' in write_document(rules)
    for text in ("[{" + '"a":{' * 30 + "}" * 31 + "]", "x" * 40_000, '[{"Date": "soon"}]'):
        with pytest.raises(UnreadableError):
            read_rules(text)
