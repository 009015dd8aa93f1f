"""Says where botocore would take its credentials in each environment read from stdin.

Nothing is fetched: the last step of each provider that would ask an endpoint or
start a program notes where it was about to go. No address is ever contacted.
"""
import json
import os
import socket
import sys


def refuse(*_, **__):
    raise OSError("this script contacts nobody")


socket.socket.connect = refuse
socket.create_connection = refuse

import botocore.credentials as credentials  # noqa: E402
import botocore.session  # noqa: E402
import botocore.utils as utils  # noqa: E402


class Found(BaseException):
    pass


def note(kind):
    def stop(*_, **__):
        raise Found(kind)

    return stop


def container(_self, url, *_, **__):
    raise Found("container " + url)


def imds(self):
    if self._disabled:
        return {}
    base = self._base_url.rstrip("/")
    raise Found("imds " + base)


utils.ContainerMetadataFetcher._retrieve_credentials = container
utils.InstanceMetadataFetcher.retrieve_iam_role_credentials = imds
credentials.AssumeRoleProvider._load_creds_via_assume_role = note("profile:role")
credentials.ProcessProvider._retrieve_credentials_using = note("profile:process")
credentials.SSOProvider.load = (
    lambda original: lambda self: note("profile:sso")() if self._load_sso_config() else original(self)
)(credentials.SSOProvider.load)


def identity(self):
    source = "web-identity" if os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and not self._disable_env_vars else "profile:web-identity"
    path = self._get_config("web_identity_token_file")
    if not path:
        return None
    if source == "web-identity":
        self._token_loader_cls(path)()
    if not self._get_config("role_arn"):
        raise ValueError("no role")
    raise Found(source)


credentials.AssumeRoleWithWebIdentityProvider._assume_role_with_web_identity = identity

METHODS = {"env": "keys", "shared-credentials-file": "profile:keys", "config-file": "profile:keys"}


def first():
    try:
        session = botocore.session.Session()
        session.get_scoped_config()
        found = session.get_credentials()
    except Found as where:
        return str(where)
    except Exception as problem:  # noqa: BLE001
        return "broken:" + type(problem).__name__
    return METHODS.get(found.method, found.method) if found else "none"


answers = {}
for one in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(one["env"])
    answers[one["name"]] = first()
json.dump(answers, sys.stdout)
