"""Credentials of ~/.aws: profiles, roles, what is not there. The server of the tests refuses requests without a signature."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import obstore
import pytest

from ensir.errors import InputError
from ensir.storage import aws
from ensir.storage.shared import objects_at, remedy

pytest.importorskip("boto3")
CONFIG = """\
[default]
region = us-east-1
endpoint_url = {server}
[profile mine]
region = us-east-1
endpoint_url = {server}
[profile role]
region = us-east-1
endpoint_url = {server}
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = mine
[profile signed-in]
sso_session = here
sso_account_id = 123456789012
sso_role_name = reader
region = us-east-1
[sso-session here]
sso_start_url = {server}/start
sso_region = us-east-1
"""
KEYS = "[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = secret\n"


@pytest.fixture
def home(tmp_path: Path, bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with ~/.aws, in place of variables."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3_server)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(CONFIG.format(server=s3_server))
    keys = [KEYS.format(profile=profile, key=f"key-of-{profile}") for profile in ("default", "mine")]
    (tmp_path / ".aws/credentials").write_text("\n".join(keys))
    aws._found.cache_clear()
    return tmp_path


@pytest.mark.parametrize("profile", ["", "mine", "role"])
def test_profiles_sign_requests(home: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, profile: str):
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    objects = objects_at(f"{bucket}/{profile}", writable=True)
    obstore.put(objects, "x", b"there")
    assert bytes(obstore.get(pickle.loads(pickle.dumps(objects)), "x").bytes()) == b"there"
    found = aws.options()["credential_provider"]()
    if profile == "role":
        assert found["token"]
    else:
        assert (found["access_key_id"], found["token"]) == (f"key-of-{profile or 'default'}", None)


def test_the_environment_goes_first(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    assert aws.options() == {}
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (home / ".aws/config").unlink()
    (home / ".aws/credentials").unlink()
    assert aws.options() == {"config": {"skip_signature": True}}


def test_what_is_missing_is_said(home: Path, bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "yours")
    with pytest.raises(
        InputError, match=r"AWS_PROFILE: The config profile \(yours\) could not be found; fix it"
    ):
        objects_at(bucket)
    monkeypatch.setenv("AWS_PROFILE", "signed-in")
    with pytest.raises(Exception, match="SSO") as failed:
        obstore.get(objects_at(bucket), "x")
    assert remedy(failed.value, bucket) == "type `aws sso login`"
    monkeypatch.setitem(sys.modules, "boto3", None)
    aws._found.cache_clear()
    with pytest.raises(
        InputError, match=r"AWS_PROFILE: profiles need boto3 .*pip install 'ensir-flow\[s3\]'"
    ):
        objects_at(bucket)
    monkeypatch.delenv("AWS_PROFILE")
    assert aws.options() == {"config": {"skip_signature": True}}
