#!/usr/bin/env python3
"""Checks every vector in this folder with an implementation that shares no code with Vestal's.

Needs Python 3.9 and the package `cryptography`. Each good vector is opened and built again, each refused one must
be refused for the reason that it names. Prints the count, and exits with 1 if any vector failed.
"""

import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

FOLDER = Path(__file__).parent


class Refused(Exception):
    """The bytes are not what they should be; the text is the reason."""


def field(data):
    return struct.pack(">I", len(data)) + data


# --- records


def associated_data(term, place):
    version = bytes.fromhex(place["version"] or "")
    fields = [
        place["vault"].encode(),
        bytes([place["kind"]]),
        bytes.fromhex(place["key"]),
        place["name"].encode(),
        version,
        struct.pack(">Q", place["generation"]),
        *(bytes.fromhex(column) for column in place["columns"]),
    ]
    return struct.pack(">BI", 1, term) + b"".join(field(data) for data in fields)


def derive(seed, salt):
    okm = HKDFExpand(SHA256(), 64, b"vestal/record/1" + salt).derive(seed)
    return okm[:32], okm[32:]


def seal(seed, term, salt, place, body):
    key, commitment = derive(seed, salt)
    text = field(body)
    text += bytes(-len(text) % 256)
    sealed = AESGCM(key).encrypt(bytes(12), text, associated_data(term, place))
    return struct.pack(">BI", 1, term) + salt + commitment + sealed


def open_record(seeds, place, record):
    if not record:
        raise Refused("length")
    if record[0] != 1:
        raise Refused("version")
    ciphertext_length = len(record) - 1 - 4 - 32 - 32 - 16
    if ciphertext_length <= 0 or ciphertext_length % 256:
        raise Refused("length")
    (term,) = struct.unpack(">I", record[1:5])
    salt, commitment, sealed = record[5:37], record[37:69], record[69:]
    if term not in seeds:
        raise Refused("unknown term")
    key, expected = derive(seeds[term], salt)
    if not hmac.compare_digest(commitment, expected):
        raise Refused("wrong key")
    try:
        text = AESGCM(key).decrypt(bytes(12), sealed, associated_data(term, place))
    except InvalidTag:
        raise Refused("altered") from None
    (length,) = struct.unpack(">I", text[:4])
    body, padding = text[4 : 4 + length], text[4 + length :]
    if len(body) != length or len(padding) >= 256 or any(padding):
        raise Refused("padding")
    return body


def check_record(vector):
    seed, salt = bytes.fromhex(vector["seed"]), bytes.fromhex(vector["salt"])
    body, record = bytes.fromhex(vector["body"]), bytes.fromhex(vector["record"])
    term, place = vector["term"], vector["place"]
    expect(associated_data(term, place).hex(), vector["associated_data"])
    expect(open_record({term: seed}, place, record), body)
    expect(seal(seed, term, salt, place, body), record)


def check_refused_record(vector):
    seeds = {int(term): bytes.fromhex(seed) for term, seed in vector["seeds"].items()}
    refuses(vector, lambda: open_record(seeds, vector["place"], bytes.fromhex(vector["record"])))


# --- wrapped seeds


def wrap(key, key_id, term, nonce, seed):
    head = struct.pack(">BIB", 1, term, len(key_id)) + key_id + nonce
    return head + AESGCM(key).encrypt(nonce, seed, b"vestal/keyring/1" + struct.pack(">I", term) + key_id)


def unwrap(key, key_id, wrapped):
    if not wrapped:
        raise Refused("length")
    if wrapped[0] != 1:
        raise Refused("version")
    if len(wrapped) < 6 or len(wrapped) != 6 + wrapped[5] + 12 + 32 + 16:
        raise Refused("length")
    (term,) = struct.unpack(">I", wrapped[1:5])
    id_end = 6 + wrapped[5]
    stored_id, nonce, sealed = wrapped[6:id_end], wrapped[id_end : id_end + 12], wrapped[id_end + 12 :]
    try:
        stored_id.decode()
    except UnicodeDecodeError:
        raise Refused("key id") from None
    if stored_id != key_id:
        raise Refused("other key")
    try:
        return term, AESGCM(key).decrypt(nonce, sealed, b"vestal/keyring/1" + struct.pack(">I", term) + key_id)
    except InvalidTag:
        raise Refused("altered") from None


def check_wrapped(vector):
    key, key_id, term = bytes.fromhex(vector["key"]), vector["key_id"].encode(), vector["term"]
    seed, wrapped = bytes.fromhex(vector["seed"]), bytes.fromhex(vector["wrapped"])
    expect(unwrap(key, key_id, wrapped), (term, seed))
    expect(wrap(key, key_id, term, bytes.fromhex(vector["nonce"]), seed), wrapped)


def check_refused_wrapped(vector):
    key, wrapped = bytes.fromhex(vector["key"]), bytes.fromhex(vector["wrapped"])
    refuses(vector, lambda: unwrap(key, vector["key_id"].encode(), wrapped))


# --- secret bodies


def encode_body(value, content_type, tags, updated, written_by):
    parts = [struct.pack(">Bq", 1, updated), field(value)]
    parts.append(b"\0" if content_type is None else b"\1" + field(content_type.encode()))
    parts.append(field(written_by.encode()))
    parts.append(struct.pack(">I", len(tags)))
    for name in sorted(tags, key=str.encode):
        parts += [field(name.encode()), field(tags[name].encode())]
    return b"".join(parts)


class Reader:
    def __init__(self, data):
        self.rest = data

    def take(self, length):
        if len(self.rest) < length:
            raise Refused("short")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def bytes(self):
        return self.take(self.number(">I"))

    def text(self):
        try:
            return self.bytes().decode()
        except UnicodeDecodeError:
            raise Refused("text") from None


def decode_body(data):
    reader = Reader(data)
    if reader.number(">B") != 1:
        raise Refused("layout")
    updated = reader.number(">q")
    value = reader.bytes()
    mark = reader.number(">B")
    if mark > 1:
        raise Refused("presence")
    content_type = reader.text() if mark else None
    written_by = reader.text()
    tags = {}
    for _ in range(reader.number(">I")):
        name, tag = reader.text(), reader.text()
        if tags and name.encode() <= list(tags)[-1].encode():
            raise Refused("tag order")
        tags[name] = tag
    if reader.rest:
        raise Refused("long")
    return value, content_type, tags, updated, written_by


def check_body(vector):
    encoded = bytes.fromhex(vector["encoded"])
    members = ("content_type", "tags", "updated", "written_by")
    body = (bytes.fromhex(vector["value"]), *(vector[member] for member in members))
    expect(decode_body(encoded), body)
    expect(encode_body(*body), encoded)


def check_refused_body(vector):
    refuses(vector, lambda: decode_body(bytes.fromhex(vector["encoded"])))


# --- client secrets


def check_mac(vector):
    pepper, client_secret = bytes.fromhex(vector["pepper"]), bytes.fromhex(vector["client_secret"])
    expect(hmac.new(pepper, client_secret, hashlib.sha256).hexdigest(), vector["mac"])


# --- all of them


CHECKS = {
    "records.json": {"records": check_record, "refused": check_refused_record},
    "wrapped-seeds.json": {"wrapped": check_wrapped, "refused": check_refused_wrapped},
    "secret-bodies.json": {"bodies": check_body, "refused": check_refused_body},
    "client-secrets.json": {"macs": check_mac},
}


def expect(found, wanted):
    if found != wanted:
        raise ValueError(f"found {found!r}, wanted {wanted!r}")


def refuses(vector, attempt):
    try:
        attempt()
    except Refused as refused:
        expect(str(refused), vector["because"])
    else:
        raise ValueError(f"was taken, and should be refused because of: {vector['because']}")


def main():
    passed = failed = 0
    unknown = {path.name for path in FOLDER.glob("*.json")} ^ CHECKS.keys()
    for name in sorted(unknown):
        print(f"{name}: is missing, or nothing checks it")
        failed += 1
    for file, checks in CHECKS.items():
        if file in unknown:
            continue
        groups = json.loads((FOLDER / file).read_text(encoding="utf-8"))
        for group in sorted(groups.keys() ^ checks.keys()):
            print(f"{file}: {group} is missing, or nothing checks it")
            failed += 1
        for group in groups.keys() & checks.keys():
            if not groups[group]:
                print(f"{file}: {group} is empty")
                failed += 1
            for vector in groups[group]:
                try:
                    checks[group](vector)
                    passed += 1
                except Exception as error:  # whatever goes wrong, the vector failed and the next one is tried
                    print(f"{file}: {group}: {vector.get('name')}: {type(error).__name__}: {error}")
                    failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
