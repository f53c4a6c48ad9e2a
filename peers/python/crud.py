"""Secrets through the unmodified Azure SDK for Python: set, get, list, list versions, update, paging, errors.

    crud.py

The environment is that of dev.env. It stops at the first thing that is not as Key Vault has it, says what, and exits
with 1; else it prints one JSON line, {"checks": n}.
"""

import json
import os
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential, EnvironmentCredential
from azure.keyvault.secrets import SecretClient

VAULT = os.environ["VESTAL_VAULT_URL"]
# Names of this run alone, so that the script can be run again on the same vault.
MARK = uuid.uuid4().hex[:8]


def main() -> int:
    client = SecretClient(VAULT, EnvironmentCredential())
    reader = SecretClient(
        VAULT,
        ClientSecretCredential(
            os.environ["AZURE_TENANT_ID"],
            os.environ["VESTAL_READER_CLIENT_ID"],
            os.environ["VESTAL_READER_CLIENT_SECRET"],
        ),
    )
    checks = [
        lambda: what_is_set_is_read_back(client),
        lambda: every_attribute_comes_back(client),
        lambda: a_new_version_inherits_nothing(client),
        lambda: an_update_changes_what_it_names_and_nothing_else(client),
        lambda: names_are_the_same_in_any_case(client),
        lambda: values_of_all_kinds_come_back_as_they_were(client),
        lambda: a_listing_goes_over_many_pages(client),
        lambda: versions_are_listed_page_by_page(client),
        lambda: versions_of_an_unknown_secret_are_none(client),
        lambda: a_disabled_secret_is_not_read(client),
        lambda: an_expired_secret_is_read(client),
        lambda: what_is_not_there_is_not_found(client),
        lambda: bad_requests_are_refused_as_key_vault_does(client),
        lambda: a_reader_reads_its_token_and_nothing_else(client, reader),
        lambda: a_wrong_client_secret_gets_no_token(),
    ]
    for check in checks:
        check()
    print(json.dumps({"checks": len(checks)}))
    return 0


def what_is_set_is_read_back(client):
    name = f"plain-{MARK}"
    made = client.set_secret(name, "first")
    assert made.value == "first" and made.name == name
    assert made.properties.vault_url == VAULT, f"the id speaks of {made.properties.vault_url}"
    assert len(made.properties.version) == 32
    assert made.properties.enabled is True and made.properties.expires_on is None
    assert made.properties.recovery_level == "Recoverable+Purgeable", made.properties.recovery_level
    assert made.properties.recoverable_days == 90, made.properties.recoverable_days

    again = client.set_secret(name, "second")
    assert again.properties.version != made.properties.version
    assert client.get_secret(name).value == "second"
    assert client.get_secret(name, made.properties.version).value == "first"


def every_attribute_comes_back(client):
    name = f"attributes-{MARK}"
    now = datetime.now(timezone.utc).replace(microsecond=0)
    tags = {"owner": "ops@example.com", "stage": "täst"}
    client.set_secret(
        name,
        "value",
        enabled=True,
        tags=tags,
        content_type="text/plain; charset=utf-8",
        not_before=now - timedelta(hours=1),
        expires_on=now + timedelta(hours=1),
    )
    properties = client.get_secret(name).properties
    assert properties.tags == tags, properties.tags
    assert properties.content_type == "text/plain; charset=utf-8"
    assert properties.not_before == now - timedelta(hours=1)
    assert properties.expires_on == now + timedelta(hours=1)
    assert abs((properties.created_on - now).total_seconds()) < 60
    assert properties.created_on == properties.updated_on
    # A client takes `managed` for 'belongs to a certificate' and then refuses to change the secret.
    assert properties.key_id is None


def a_new_version_inherits_nothing(client):
    name = f"attributes-{MARK}"
    fresh = client.set_secret(name, "next").properties
    assert not fresh.tags and fresh.content_type is None and fresh.expires_on is None and fresh.not_before is None


def an_update_changes_what_it_names_and_nothing_else(client):
    name = f"update-{MARK}"
    first = client.set_secret(name, "value", tags={"a": "1", "b": "2"}, content_type="text/plain").properties
    time.sleep(1.1)  # The stamp has whole seconds.
    updated = client.update_secret_properties(name, content_type="application/json")
    assert updated.content_type == "application/json" and updated.tags == {"a": "1", "b": "2"}
    assert updated.version == first.version and updated.updated_on > first.updated_on
    assert updated.created_on == first.created_on

    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)
    client.update_secret_properties(name, first.version, tags={"c": "3"}, expires_on=expires)
    secret = client.get_secret(name)
    assert secret.value == "value" and secret.properties.tags == {"c": "3"}, "tags are replaced as a whole"
    assert secret.properties.expires_on == expires and secret.properties.content_type == "application/json"


def names_are_the_same_in_any_case(client):
    name = f"Case-{MARK}"
    client.set_secret(name, "value")
    assert client.get_secret(name.upper()).value == "value"
    assert client.get_secret(name.lower()).value == "value"
    listed = [secret.name for secret in client.list_properties_of_secrets()]
    assert name in listed, "a listing shows names as they were first written"


def values_of_all_kinds_come_back_as_they_were(client):
    name = f"values-{MARK}"
    for value in ["", " ", 'quote " backslash \\ slash /', "line\r\nbreak\ttab", "ünïcödé 🔑 \u2028", "x" * 25_600]:
        client.set_secret(name, value)
        assert client.get_secret(name).value == value, f"a value of {len(value)} characters came back changed"


def a_listing_goes_over_many_pages(client):
    made = {f"page-{MARK}-{number:02}" for number in range(30)}
    for name in made:
        client.set_secret(name, name)
    pages = [[secret.name for secret in page] for page in client.list_properties_of_secrets().by_page()]
    seen = [name for page in pages for name in page]
    assert len(pages) > 1 and all(len(page) <= 25 for page in pages), [len(page) for page in pages]
    assert made <= set(seen), f"missing: {sorted(made - set(seen))}"
    assert len(seen) == len(set(seen)), "a name came twice"

    small = [len(list(page)) for page in client.list_properties_of_secrets(max_page_size=7).by_page()]
    assert max(small) <= 7 and sum(small) == len(seen), small
    for secret in client.list_properties_of_secrets():
        assert secret.version is None, "an id in a listing of secrets names no version"


def versions_are_listed_page_by_page(client):
    name = f"versions-{MARK}"
    made = {client.set_secret(name, str(number)).properties.version for number in range(8)}
    pages = list(client.list_properties_of_secret_versions(name, max_page_size=3).by_page())
    assert len(pages) == 3 or len(pages) == 4
    listed = [version.version for page in client.list_properties_of_secret_versions(name, max_page_size=3).by_page() for version in page]
    assert set(listed) == made and len(listed) == len(made)


def versions_of_an_unknown_secret_are_none(client):
    assert list(client.list_properties_of_secret_versions(f"nobody-{MARK}")) == []


def a_disabled_secret_is_not_read(client):
    name = f"disabled-{MARK}"
    client.set_secret(name, "value", enabled=False)
    refused(client.get_secret, name, status=403, code="Forbidden", inner="SecretDisabled")
    # It can still be changed, and so be enabled again.
    client.update_secret_properties(name, enabled=True)
    assert client.get_secret(name).value == "value"


def an_expired_secret_is_read(client):
    name = f"expired-{MARK}"
    past = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    client.set_secret(name, "value", expires_on=past)
    secret = client.get_secret(name)
    assert secret.value == "value" and secret.properties.expires_on == past


def what_is_not_there_is_not_found(client):
    known = f"plain-{MARK}"
    refused(client.get_secret, f"nobody-{MARK}", status=404, code="SecretNotFound", kind=ResourceNotFoundError)
    refused(client.get_secret, known, "0" * 32, status=404, code="SecretNotFound", kind=ResourceNotFoundError)
    refused(client.update_secret_properties, f"nobody-{MARK}", tags={}, status=404, code="SecretNotFound")


def bad_requests_are_refused_as_key_vault_does(client):
    refused(client.set_secret, "under_score", "value", status=400, code="BadParameter")
    refused(client.set_secret, "n" * 128, "value", status=400, code="BadParameter")
    refused(client.set_secret, f"big-{MARK}", "x" * 25_601, status=400, code="BadParameter")
    refused(client.set_secret, f"type-{MARK}", "value", content_type="x" * 256, status=400, code="BadParameter")
    tags = {f"tag-{number}": "" for number in range(16)}
    refused(client.set_secret, f"tags-{MARK}", "value", tags=tags, status=400, code="BadParameter")
    for name in [f"big-{MARK}", f"type-{MARK}", f"tags-{MARK}"]:
        refused(client.get_secret, name, status=404, code="SecretNotFound")
    pages = client.list_properties_of_secrets(max_page_size=26).by_page()
    refused(lambda: next(pages), status=400, code="BadParameter")


def a_reader_reads_its_token_and_nothing_else(client, reader):
    assert reader.get_secret(os.environ["VESTAL_TOKEN_NAME"]).value
    denied = {"status": 403, "code": "Forbidden"}
    refused(reader.get_secret, "client-credentials", **denied)
    refused(reader.set_secret, os.environ["VESTAL_TOKEN_NAME"], "mine", **denied)
    refused(lambda: list(reader.list_properties_of_secrets()), **denied)
    # What isn't there is refused in the same way: a name that may not be read is not told to exist.
    refused(reader.get_secret, f"nobody-{MARK}", **denied)


def a_wrong_client_secret_gets_no_token():
    credential = ClientSecretCredential(os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], "wrong")
    try:
        SecretClient(VAULT, credential).get_secret("client-id")
    except ClientAuthenticationError as error:
        assert "AADSTS7000215" in error.message, error.message
        return
    raise AssertionError("a wrong client secret was taken")


def refused(call, *arguments, status, code, inner=None, kind=HttpResponseError, **named):
    """Calls, and checks that the answer is that error: status, code, and the code inside it."""
    try:
        call(*arguments, **named)
    except kind as error:
        found = error.error
        assert error.status_code == status, f"{error.status_code} in place of {status}: {error.message}"
        assert found is not None and found.code == code, f"{found and found.code} in place of {code}"
        if inner:
            assert found.innererror and found.innererror.get("code") == inner, f"inside it: {found.innererror}"
        return
    raise AssertionError(f"{getattr(call, '__name__', call)}{arguments[:1]} was not refused with {status} {code}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as error:
        import traceback

        place = traceback.extract_tb(error.__traceback__)[1]
        print(f"{place.name}: {error or traceback.extract_tb(error.__traceback__)[-1].line}", file=sys.stderr)
        traceback.print_exc()
        sys.exit(1)
