"""Every public method of the secret clients of the unmodified Azure SDK for Python, sync and async.

    every_method.py

The environment is that of dev.env. It stops at the first thing that is not as Key Vault has it, says what, and exits
with 1; else it prints one JSON line, {"clients": 2, "methods": n}.
"""

import asyncio
import inspect
import json
import os
import sys
import uuid
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import EnvironmentCredential
from azure.identity.aio import EnvironmentCredential as AsyncEnvironmentCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

VAULT = os.environ["VESTAL_VAULT_URL"]
MANY = 60


class Client:
    """Either client by one set of names, noting which of its methods were called."""

    def __init__(self, client):
        self.client = client
        self.called = set()

    async def call(self, method, *arguments, **named):
        self.called.add(method)
        result = getattr(self.client, method)(*arguments, **named)
        return await result if inspect.isawaitable(result) else result

    async def every(self, method, *arguments, **named):
        """The items of all pages, and how many pages there were."""
        self.called.add(method)
        pages = getattr(self.client, method)(*arguments, **named).by_page()
        items, count = [], 0
        if hasattr(pages, "__aiter__"):
            async for page in pages:
                count += 1
                items += [item async for item in page]
        else:
            for page in pages:
                count += 1
                items += list(page)
        return items, count

    async def delete(self, name):
        if hasattr(self.client, "begin_delete_secret"):
            poller = await self.call("begin_delete_secret", name)
            poller.wait()
            return poller.result()
        return await self.call("delete_secret", name)

    async def recover(self, name):
        if hasattr(self.client, "begin_recover_deleted_secret"):
            poller = await self.call("begin_recover_deleted_secret", name)
            poller.wait()
            return poller.result()
        return await self.call("recover_deleted_secret", name)

    async def refused(self, error, status, method, *arguments, **named):
        try:
            await self.call(method, *arguments, **named)
        except error as refusal:
            assert refusal.status_code == status, f"{method}: {refusal.status_code}, not {status}: {refusal}"
            return refusal
        raise AssertionError(f"{method} was not refused")


async def one_secret(client, mark):
    """A secret from its making to its end, through every method."""
    name = f"Every-{mark}"
    start, end = datetime.now(timezone.utc) - timedelta(hours=1), datetime.now(timezone.utc) + timedelta(days=30)
    tags = {"team": "größe", "empty": ""}
    made = await client.call(
        "set_secret", name, "wert ü 漢 \U0001f511", content_type="text/plain", tags=tags, not_before=start, expires_on=end
    )
    assert made.value == "wert ü 漢 \U0001f511" and made.properties.tags == tags, made
    # Older ones leave out the port.
    assert VAULT.startswith(made.properties.vault_url), made.properties.vault_url
    assert abs((made.properties.expires_on - end).total_seconds()) < 1, made.properties.expires_on
    assert made.properties.recovery_level and made.properties.recoverable_days, made.properties

    changed = await client.call("update_secret_properties", name, enabled=False, tags={"a": "b"})
    assert changed.enabled is False and changed.tags == {"a": "b"} and changed.version == made.properties.version
    refusal = await client.refused(HttpResponseError, 403, "get_secret", name)
    assert "disabled" in str(refusal), refusal
    await client.call("update_secret_properties", name, made.properties.version, enabled=True)
    second = await client.call("set_secret", name, "second")
    assert second.properties.not_before is None and second.properties.expires_on is None, "nothing is inherited"
    assert (await client.call("get_secret", name.upper())).value == "second"
    assert (await client.call("get_secret", name, made.properties.version)).value == made.value

    versions, _ = await client.every("list_properties_of_secret_versions", name)
    assert {version.version for version in versions} == {made.properties.version, second.properties.version}
    listed, _ = await client.every("list_properties_of_secrets", max_page_size=10)
    assert name in [secret.name for secret in listed]

    backup = await client.call("backup_secret", name)
    refusal = await client.refused(ResourceExistsError, 409, "restore_secret_backup", backup)
    deleted = await client.delete(name)
    assert deleted.name == name and deleted.recovery_id and deleted.scheduled_purge_date > deleted.deleted_date, deleted
    await client.refused(ResourceNotFoundError, 404, "get_secret", name)
    await client.refused(ResourceExistsError, 409, "set_secret", name, "taken")
    found = await client.call("get_deleted_secret", name)
    assert found.recovery_id == deleted.recovery_id, found
    gone, _ = await client.every("list_deleted_secrets")
    assert name in [secret.name for secret in gone]
    recovered = await client.recover(name)
    assert recovered.name == name and recovered.version == second.properties.version, recovered
    assert (await client.call("get_secret", name)).value == "second"

    await client.delete(name)
    await client.call("purge_deleted_secret", name)
    await client.refused(ResourceNotFoundError, 404, "get_deleted_secret", name)
    restored = await client.call("restore_secret_backup", backup)
    assert restored.version == second.properties.version and restored.name == name, restored
    again, _ = await client.every("list_properties_of_secret_versions", name)
    facts = lambda version: (version.version, version.created_on, version.updated_on, version.tags, version.enabled)
    assert sorted(map(facts, again), key=str) == sorted(map(facts, versions), key=str), "versions are what they were"
    assert (await client.call("get_secret", name, made.properties.version)).value == made.value


async def many(client, mark):
    """Pages over more secrets, versions and deleted secrets than one page has."""
    names = {f"many-{mark}-{number}" for number in range(MANY)}
    for name in sorted(names):
        await client.call("set_secret", name, name)
    for number in range(MANY):
        await client.call("set_secret", f"versions-{mark}", str(number))
    listed, pages = await client.every("list_properties_of_secrets")
    assert names <= {secret.name for secret in listed} and pages > 2, pages
    assert len({secret.id for secret in listed}) == len(listed), "none comes twice"
    versions, pages = await client.every("list_properties_of_secret_versions", f"versions-{mark}")
    assert len({version.version for version in versions}) == MANY and pages > 2, (len(versions), pages)
    for name in sorted(names):
        await client.delete(name)
    deleted, pages = await client.every("list_deleted_secrets", max_page_size=20)
    assert names <= {secret.name for secret in deleted} and pages > 2, pages


async def raw(client):
    """The one method that sends a request of the caller's own."""
    if hasattr(client.client, "send_request"):
        from azure.core.rest import HttpRequest

        answer = await client.call("send_request", HttpRequest("GET", "/secrets?maxresults=1"))
        assert answer.status_code == 200, answer


def public(client):
    methods = {name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))}
    return methods - {"close"}


async def main() -> int:
    methods = 0
    for sync in (True, False):
        if sync:
            credential, kind = EnvironmentCredential(), SecretClient
        else:
            credential, kind = AsyncEnvironmentCredential(), AsyncSecretClient
        client = Client(kind(VAULT, credential))
        mark = uuid.uuid4().hex[:8]
        await one_secret(client, mark)
        await many(client, mark)
        await raw(client)
        missed = public(client.client) - client.called
        assert not missed, f"{kind.__module__}: {missed} were not called"
        methods += len(client.called)
        for closed in (client.client, credential):
            result = closed.close()
            if inspect.isawaitable(result):
                await result
    print(json.dumps({"clients": 2, "methods": methods}))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
