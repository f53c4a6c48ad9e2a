"""Reads the managed token with the unmodified Azure SDK for Python, as its users would, over several renewals.

    reader.py [--versions 3] [--seconds 60] [--pause 0.2] [--token NAME]

Everything it knows comes from the environment that `vestal dev` writes to dev.env: the vault, the token's name, the
authority, the client, and the roots to trust. It ends when it has seen so many versions or when the time is up.

It prints one JSON summary on stdout and exits with 0 if every read found a token with life left and all versions were
seen, else with 1. No token is ever printed: the summary shows a fingerprint of each.
"""

import argparse
import hashlib
import json
import os
import sys
import time

from azure.identity import EnvironmentCredential
from azure.keyvault.secrets import SecretClient


def main() -> int:
    arguments = parse()
    client = SecretClient(os.environ["VESTAL_VAULT_URL"], EnvironmentCredential())
    name = arguments.token or os.environ["VESTAL_TOKEN_NAME"]

    versions: dict[str, dict] = {}
    reads = dead = 0
    least = None
    until = time.monotonic() + arguments.seconds
    while len(versions) < arguments.versions and time.monotonic() < until:
        secret = client.get_secret(name)
        # Asked after the answer has come: the life that the reader really has.
        now = time.time()
        expires = secret.properties.expires_on
        left = expires.timestamp() - now if expires else None
        reads += 1
        if not secret.value or left is None or left <= 0:
            dead += 1
        if left is not None and (least is None or left < least):
            least = left
        seen = versions.setdefault(
            secret.properties.version,
            {
                "version": secret.properties.version,
                "expires_on": int(expires.timestamp()) if expires else None,
                "life_left_at_first_sight": left,
                "token": fingerprint(secret.value),
                "reads": 0,
            },
        )
        seen["reads"] += 1
        time.sleep(arguments.pause)

    enough = len(versions) >= arguments.versions
    different = len({version["token"] for version in versions.values()}) == len(versions)
    summary = {
        "reads": reads,
        "reads_without_life_left": dead,
        "least_life_left": least,
        "versions": list(versions.values()),
        "enough_versions": enough,
        "every_version_another_token": different,
    }
    print(json.dumps(summary))
    return 0 if reads and not dead and enough and different else 1


def fingerprint(value: str | None) -> str | None:
    return hashlib.sha256(value.encode()).hexdigest()[:12] if value else None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, default=3, help="how many versions to see")
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on at most")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two reads")
    parser.add_argument("--token", help="the secret to read; else the one that the environment names")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
