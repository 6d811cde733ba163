"""Credentials for S3 that are not in the environment: profiles, roles and single sign-on, as boto3 finds them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensir.errors import InputError
from ensir.storage.failures import reason

if TYPE_CHECKING:
    from obstore.store import S3Credential

SIGNING = (  # if one of these is set, the environment says how S3 requests are signed
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
PROFILE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
VALID = timedelta(minutes=5)  # until credentials are asked for again, which boto3 renews before they expire


def options() -> dict[str, Any]:
    """Return how S3 requests are signed, as options of obstore's stores: nothing, where the environment says it.

    Otherwise by the profile of `AWS_PROFILE`, or the default one of `~/.aws`: with its keys, a role, or single sign-on.
    Without any, requests are not signed, as for public buckets.

    Raises
    ------
    InputError
        The profile that is named does not exist, or boto3 is not installed.
    """
    if any(map(os.getenv, SIGNING)):
        return {}
    named = next(filter(None, map(os.getenv, PROFILE)), None)
    files = [Path(os.getenv(name) or default).expanduser() for name, default in FILES.items()]
    unsigned: dict[str, Any] = {"config": {"skip_signature": True}}
    if not named and not any(path.is_file() for path in files):
        return unsigned
    try:
        found, config = _found(named, *map(str, files))
    except ImportError as error:
        if not named:
            return unsigned
        raise InputError(
            f"AWS_PROFILE: profiles need boto3 ({error}); pip install 'ensir-flow[s3]', or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        ) from error
    if found is None:
        return unsigned
    return {"config": config, "credential_provider": Credentials(named, *map(str, files))}


class Credentials:
    """Gives obstore the credentials of a profile whenever it asks; it can be sent to another process.

    Parameters
    ----------
    profile : str or None
        None: the default one.
    files : str
        Where profiles are.
    """

    def __init__(self, profile: str | None, *files: str):
        self.asked = (profile, *files)

    def __call__(self) -> S3Credential:
        """Return the credentials of today."""
        found = _found(*self.asked)[0].get_frozen_credentials()
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": datetime.now(UTC) + VALID,
        }


@cache
def _found(profile: str | None, *files: str) -> tuple[Any, dict[str, Any]]:
    """Return boto3's credentials of a profile, or None, and what its files say of region and endpoint."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session(profile_name=profile)
        found = session.get_credentials()
    except BotoCoreError as error:
        raise InputError(f"AWS_PROFILE: {reason(error)}; fix it, or ~/.aws/config") from error
    config = {}
    if session.region_name and not (os.getenv("AWS_REGION") or os.getenv("AWS_DEFAULT_REGION")):
        config["region"] = session.region_name
    endpoint = session._session.get_scoped_config().get("endpoint_url")
    if endpoint and not os.getenv("AWS_ENDPOINT_URL"):
        config["endpoint"] = endpoint
    return found, config
