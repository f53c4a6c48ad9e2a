//! The language-neutral vectors in `vectors/*.json`, held against what this crate writes.
//!
//! `vectors/check.py` opens and rebuilds them with another implementation. To write them anew after a deliberate
//! change of a format, run these tests with `VESTAL_WRITE_VECTORS=1`.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::aead::Aad;
use secret::Secret;
use serde::Serialize;

use crate::hex::Digits;
use crate::keyring::{Keyring, Seed, Term, zero_nonce};
use crate::{
    BodyError, KeyEncryptionKey, Kind, NotARecord, OpenError, Place, SecretBody, UnwrapError, VersionId, WrappedSeed,
    secret_mac,
};

const SEED: [u8; 32] = *b"0123456789abcdef0123456789ABCDEF";
const OTHER_SEED: [u8; 32] = *b"another seed, of the other term.";
const KEY: [u8; 32] = *b"a key-encryption key, as random.";

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    Digits(bytes).to_string()
}

/// Bytes that differ from place to place, in the place of random ones.
fn bytes<const N: usize>(start: u8) -> [u8; N] {
    core::array::from_fn(|at| start.wrapping_add(at as u8).wrapping_mul(7))
}

/// Compares the file with what the code yields, or writes it.
fn hold(file: &str, vectors: &impl Serialize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
    let text = serde_json::to_string_pretty(vectors).unwrap() + "\n";
    if std::env::var_os("VESTAL_WRITE_VECTORS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "vectors/{file} is not what the code writes. Records that are stored would no longer open. After a \
         deliberate change of the format run this test with VESTAL_WRITE_VECTORS=1"
    );
}

#[derive(Serialize)]
struct Records {
    records: Vec<RecordVector>,
    refused: Vec<RefusedRecord>,
}

#[derive(Serialize)]
struct RecordVector {
    name: &'static str,
    seed: String,
    term: u32,
    salt: String,
    place: PlaceVector,
    associated_data: String,
    body: String,
    record: String,
}

#[derive(Serialize)]
struct RefusedRecord {
    name: &'static str,
    because: &'static str,
    seeds: BTreeMap<u32, String>,
    place: PlaceVector,
    record: String,
}

#[derive(Clone, Serialize)]
struct PlaceVector {
    vault: String,
    kind: u8,
    key: String,
    name: String,
    version: Option<String>,
    generation: u64,
    columns: Vec<String>,
    #[serde(skip)]
    place: Place,
}

fn place(
    kind: Kind,
    vault: &str,
    key: &[u8],
    name: &str,
    version: Option<VersionId>,
    generation: u64,
    columns: &[&[u8]],
) -> PlaceVector {
    let place = Place::new(kind, vault, key, name, version.as_ref(), generation);
    PlaceVector {
        vault: vault.to_owned(),
        kind: kind as u8,
        key: hex(key),
        name: name.to_owned(),
        version: version.map(|version| version.to_string()),
        generation,
        columns: columns.iter().map(|column| hex(column)).collect(),
        place: columns.iter().fold(place, |place, column| place.column(column)),
    }
}

/// The place of one version of a managed token's secret.
fn version_place() -> PlaceVector {
    version_place_of("contoso", "discord-api-oauth-token", VersionId(bytes(1)), 7, 1)
}

fn version_place_of(vault: &str, name: &str, version: VersionId, generation: u64, enabled: u8) -> PlaceVector {
    let (created, expires) = (1_800_000_000_i64.to_be_bytes(), 1_800_003_600_i64.to_be_bytes());
    let columns: [&[u8]; 4] = [&created, &[enabled], &[], &expires];
    place(Kind::Version, vault, &version.0, name, Some(version), generation, &columns)
}

fn lane_place() -> PlaceVector {
    place(Kind::Lane, "", "discord.com 157730590492196864".as_bytes(), "", None, 0, &[])
}

fn sealed(name: &'static str, term: u32, salt: [u8; 32], place: PlaceVector, body: &[u8]) -> RecordVector {
    let keyring = Keyring::new(term, &Seed::new(&SEED));
    let sealed = keyring.seal(&place.place, body, salt);
    assert_eq!(*keyring.open(&place.place, sealed.as_bytes()).unwrap(), body);
    RecordVector {
        name,
        seed: hex(&SEED),
        term,
        salt: hex(&salt),
        associated_data: place.place.associated_data(term, hex),
        place,
        body: hex(body),
        record: hex(sealed.as_bytes()),
    }
}

fn refused(name: &'static str, place: PlaceVector, record: &[u8]) -> RefusedRecord {
    let keyring = Keyring::new(1, &Seed::new(&SEED)).with_term(2, &Seed::new(&OTHER_SEED)).unwrap();
    let because = match keyring.open(&place.place, record).map(|_| ()).unwrap_err() {
        OpenError::NotARecord(NotARecord::Length(_)) => "length",
        OpenError::NotARecord(NotARecord::Version(_)) => "version",
        OpenError::UnknownTerm(_) => "unknown term",
        OpenError::WrongKey(_) => "wrong key",
        OpenError::Altered => "altered",
        OpenError::Padding => "padding",
    };
    let seeds = BTreeMap::from([(1, hex(&SEED)), (2, hex(&OTHER_SEED))]);
    RefusedRecord { name, because, seeds, place, record: hex(record) }
}

/// A genuine record of any text, also of one that `seal` would never make.
fn sealed_text(place: &Place, text: &[u8]) -> Vec<u8> {
    let salt = bytes(9);
    let derived = Term::new(1, &Seed::new(&SEED)).derive(&salt);
    let mut ciphertext = text.to_vec();
    let tag = place.associated_data(1, |data| {
        derived.key().seal_in_place_separate_tag(zero_nonce(), Aad::from(data), &mut ciphertext).unwrap()
    });
    [&[1, 0, 0, 0, 1], &salt[..], derived.commitment(), &ciphertext, tag.as_ref()].concat()
}

#[test]
fn records_are_written_as_their_vectors_say() {
    let token = b"eyJhbGciOiJSUzI1NiJ9.an access token";
    let body = SecretBody { value: Secret::copy_of(token), ..secret_body() }.encode();
    let long =
        place(Kind::Attempt, "contoso", &bytes::<200>(3), &"n".repeat(127), None, (1 << 53) - 1, &[&bytes::<300>(5)]);
    let records = vec![
        sealed("a version of a secret", 1, bytes(2), version_place(), &body),
        sealed("the same body with another salt", 1, bytes(3), version_place(), &body),
        sealed("a later term", 0x0102_0304, bytes(2), version_place(), &body),
        sealed("an empty body without vault, name or version", 1, bytes(4), lane_place(), b""),
        sealed("a body that fills its padding", 1, bytes(5), lane_place(), &bytes::<252>(0)),
        sealed("a body one byte longer", 1, bytes(6), lane_place(), &bytes::<253>(0)),
        sealed("a long place", 1, bytes(7), long, b"{}"),
    ];

    let good = Keyring::new(1, &Seed::new(&SEED)).seal(&version_place().place, &body, bytes(2));
    let changed = |at: usize, byte: u8| {
        let mut record = good.as_bytes().to_vec();
        record[at] ^= byte;
        record
    };
    let version = VersionId(bytes(1));
    let other_version = VersionId(bytes(8));
    let name = "discord-api-oauth-token";
    let last = good.as_bytes().len() - 1;
    let records_refused = vec![
        refused("a newer version of the format", version_place(), &changed(0, 2)),
        refused("a term that the keyring doesn't have", version_place(), &changed(1, 1)),
        refused("a term whose seed is another", version_place(), &changed(4, 3)),
        refused("another salt", version_place(), &changed(5, 1)),
        refused("another commitment", version_place(), &changed(37, 0x80)),
        refused("another ciphertext", version_place(), &changed(69, 1)),
        refused("another tag", version_place(), &changed(last, 1)),
        refused("nothing", version_place(), &[]),
        refused("one byte short", version_place(), &good.as_bytes()[..last]),
        refused("no ciphertext", version_place(), &good.as_bytes()[..85]),
        refused("the place of another vault", version_place_of("fabrikam", name, version, 7, 1), good.as_bytes()),
        refused(
            "the place of another name",
            version_place_of("contoso", "client-secret", version, 7, 1),
            good.as_bytes(),
        ),
        refused(
            "the place of another version",
            version_place_of("contoso", name, other_version, 7, 1),
            good.as_bytes(),
        ),
        refused("the place of another generation", version_place_of("contoso", name, version, 8, 1), good.as_bytes()),
        refused("another clear column", version_place_of("contoso", name, version, 7, 0), good.as_bytes()),
        refused("the place of another kind", lane_place(), good.as_bytes()),
        refused(
            "padding that is not zeros",
            lane_place(),
            &sealed_text(&lane_place().place, &[&[0; 4][..], &[1; 252]].concat()),
        ),
        refused(
            "a length beyond the end",
            lane_place(),
            &sealed_text(&lane_place().place, &[&[0, 0, 0, 253][..], &[0; 252]].concat()),
        ),
        refused("more padding than needed", lane_place(), &sealed_text(&lane_place().place, &[0; 512])),
    ];
    hold("records.json", &Records { records, refused: records_refused });
}

#[derive(Serialize)]
struct WrappedSeeds {
    wrapped: Vec<WrappedVector>,
    refused: Vec<RefusedWrapped>,
}

#[derive(Serialize)]
struct WrappedVector {
    name: &'static str,
    key: String,
    key_id: String,
    term: u32,
    nonce: String,
    seed: String,
    wrapped: String,
}

#[derive(Serialize)]
struct RefusedWrapped {
    name: &'static str,
    because: &'static str,
    key: String,
    key_id: &'static str,
    wrapped: String,
}

#[test]
fn seeds_are_wrapped_as_their_vectors_say() {
    let wrap = |name, key_id: &str, term, nonce: [u8; 12]| {
        let key = KeyEncryptionKey::new(key_id, &KEY).unwrap();
        let wrapped = key.wrap(term, &Seed::new(&SEED), nonce);
        assert_eq!(key.unwrap(&wrapped).unwrap().expose(), &SEED);
        WrappedVector {
            name,
            key: hex(&KEY),
            key_id: key_id.to_owned(),
            term,
            nonce: hex(&nonce),
            seed: hex(&SEED),
            wrapped: hex(wrapped.as_bytes()),
        }
    };
    let wrapped = vec![
        wrap("the first term", "file:1", 1, bytes(1)),
        wrap("a later term", "file:1", 0x0102_0304, bytes(2)),
        wrap("a long key id", &"k".repeat(255), 1, bytes(3)),
    ];

    let good = KeyEncryptionKey::new("file:1", &KEY).unwrap().wrap(1, &Seed::new(&SEED), bytes(1));
    let refuse = |name, key: &[u8; 32], key_id, wrapped: Vec<u8>| {
        let because = match WrappedSeed::from_bytes(wrapped.clone())
            .and_then(|wrapped| KeyEncryptionKey::new(key_id, key).unwrap().unwrap(&wrapped))
            .map(|_| ())
            .unwrap_err()
        {
            UnwrapError::Length(_) => "length",
            UnwrapError::Version(_) => "version",
            UnwrapError::KeyId => "key id",
            UnwrapError::OtherKey { .. } => "other key",
            UnwrapError::Altered => "altered",
        };
        RefusedWrapped { name, because, key: hex(key), key_id, wrapped: hex(&wrapped) }
    };
    let changed = |at: usize, to: u8| {
        let mut wrapped = good.as_bytes().to_vec();
        wrapped[at] = to;
        wrapped
    };
    let length = good.as_bytes().len();
    let refused = vec![
        refuse("a newer version of the format", &KEY, "file:1", changed(0, 2)),
        refuse("another term", &KEY, "file:1", changed(4, 2)),
        refuse("a key id that is one byte short", &KEY, "file:1", changed(5, 5)),
        refuse("a key id that is no text", &KEY, "file:1", changed(6, 0xff)),
        refuse("another key's name", &KEY, "file:2", good.as_bytes().to_vec()),
        refuse("another key's name on both sides", &KEY, "file:2", changed(11, b'2')),
        refuse("another key of the same name", &OTHER_SEED, "file:1", good.as_bytes().to_vec()),
        refuse("another nonce", &KEY, "file:1", changed(12, 0)),
        refuse("another ciphertext", &KEY, "file:1", changed(24, 0)),
        refuse("another tag", &KEY, "file:1", changed(length - 1, 0)),
        refuse("one byte short", &KEY, "file:1", good.as_bytes()[..length - 1].to_vec()),
        refuse("nothing", &KEY, "file:1", Vec::new()),
    ];
    hold("wrapped-seeds.json", &WrappedSeeds { wrapped, refused });
}

#[derive(Serialize)]
struct Bodies {
    bodies: Vec<BodyVector>,
    refused: Vec<RefusedBody>,
}

#[derive(Serialize)]
struct BodyVector {
    name: &'static str,
    value: String,
    content_type: Option<String>,
    tags: BTreeMap<String, String>,
    updated: i64,
    written_by: String,
    encoded: String,
}

#[derive(Serialize)]
struct RefusedBody {
    name: &'static str,
    because: &'static str,
    encoded: String,
}

fn secret_body() -> SecretBody {
    SecretBody {
        value: Secret::copy_of(b"a value"),
        content_type: Some("application/jwt".to_owned()),
        tags: [("owner", "ops@example.com"), ("généré", "oui ✓"), ("", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        updated: 1_800_000_000,
        written_by: "vestal".to_owned(),
    }
}

#[test]
fn secret_bodies_are_written_as_their_vectors_say() {
    let encode = |name, body: SecretBody| {
        let encoded = body.encode();
        assert!(SecretBody::decode(&encoded).is_ok());
        BodyVector {
            name,
            value: hex(body.value.expose()),
            content_type: body.content_type,
            tags: body.tags,
            updated: body.updated,
            written_by: body.written_by,
            encoded: hex(&encoded),
        }
    };
    let empty = SecretBody {
        value: Secret::copy_of(b""),
        content_type: None,
        tags: BTreeMap::new(),
        updated: -1,
        written_by: String::new(),
    };
    let bodies = vec![
        encode("everything", secret_body()),
        encode("an empty content type", SecretBody { content_type: Some(String::new()), ..secret_body() }),
        encode("bytes that are no text", SecretBody { value: Secret::copy_of(&[0xff, 0]), ..secret_body() }),
        encode("nothing", empty),
    ];

    let refuse = |name, encoded: Vec<u8>| {
        let because = match SecretBody::decode(&encoded).map(|_| ()).unwrap_err() {
            BodyError::Layout(_) => "layout",
            BodyError::Short => "short",
            BodyError::Long => "long",
            BodyError::Presence => "presence",
            BodyError::Text => "text",
            BodyError::TagOrder => "tag order",
        };
        RefusedBody { name, because, encoded: hex(&encoded) }
    };
    let good = secret_body().encode();
    let head = [&[1][..], &[0; 8], &[0; 4]].concat();
    let with_tags = |tags: &[u8]| [&head[..], &[0], &[0; 4], tags].concat();
    let refused = vec![
        refuse("nothing", Vec::new()),
        refuse("a newer layout", [&[2], &good[1..]].concat()),
        refuse("one byte short", good[..good.len() - 1].to_vec()),
        refuse("one byte more", [&good[..], &[0]].concat()),
        refuse("a mark that is neither yes nor no", [&head[..], &[2], &[0; 8]].concat()),
        refuse("a writer that is no text", [&head[..], &[0], b"\0\0\0\x01\xff", &[0; 4]].concat()),
        refuse("a tag that is no text", with_tags(b"\0\0\0\x01\0\0\0\0\0\0\0\x01\xff")),
        refuse("tags out of order", with_tags(b"\0\0\0\x02\0\0\0\x01b\0\0\0\0\0\0\0\x01a\0\0\0\0")),
        refuse("a tag twice", with_tags(b"\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\0\x01a\0\0\0\0")),
        refuse("more tags than there is room for", with_tags(b"\xff\xff\xff\xff")),
    ];
    hold("secret-bodies.json", &Bodies { bodies, refused });
}

#[derive(Serialize)]
struct Macs {
    macs: Vec<MacVector>,
}

#[derive(Serialize)]
struct MacVector {
    name: &'static str,
    pepper: String,
    client_secret: String,
    mac: String,
}

#[test]
fn client_secrets_are_kept_as_their_vectors_say() {
    let mac = |name, client_secret: &[u8]| MacVector {
        name,
        pepper: hex(&KEY),
        client_secret: hex(client_secret),
        mac: hex(&secret_mac(&Secret::copy_of(&KEY), client_secret)),
    };
    let macs = vec![
        mac("a client secret", b"k1~RZgX1b8Q~a client secret of an app"),
        mac("an empty one", b""),
        mac("a long one", &bytes::<200>(1)),
    ];
    hold("client-secrets.json", &Macs { macs });
}
