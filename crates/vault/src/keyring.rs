//! The keyring: seals records, and opens them.

use core::fmt;
use core::ops::Range;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use secret::equal_in_constant_time;
use zeroize::{Zeroize, Zeroizing};

use crate::place::Place;
use crate::record::{
    LENGTH_BYTES, MAX_BODY_BYTES, OpenError, PADDING_BYTES, Parts, RECORD_OVERHEAD_BYTES, Sealed, TEXT_AT, VERSION,
};

/// What every record's key is derived with.
const RECORD_INFO: &[u8] = b"vestal/record/1";

/// The seed of one term: 32 random bytes, out of which the key of every record of that term is derived. Wiped on drop.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Copies 32 random bytes; the caller wipes its own copy.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The seeds of all terms that records may still be sealed under.
///
/// It seals with the newest term and opens with any. It never changes, so threads share it without a lock; a new term
/// makes a [new keyring](Self::with_term), which takes its place. Dropped, it wipes its keys.
pub struct Keyring {
    current: Term,
    older: Vec<Term>,
}

/// One term, ready to derive keys with.
#[derive(Clone)]
pub(crate) struct Term {
    number: u32,
    prk: Prk,
}

impl Keyring {
    /// A keyring of one term. The first term of a store is 1; 0 is never used.
    pub fn new(term: u32, seed: &Seed) -> Self {
        Self { current: Term::new(term, seed), older: Vec::new() }
    }

    /// The newest term, which seals.
    pub fn current_term(&self) -> u32 {
        self.current.number
    }

    /// The number that the next term will have. Its wrapped seed is stored before the term is
    /// [added](Self::with_term).
    pub fn next_term(&self) -> u32 {
        self.current.number.saturating_add(1)
    }

    /// All terms, oldest first.
    pub fn terms(&self) -> impl Iterator<Item = u32> {
        self.older.iter().chain([&self.current]).map(|term| term.number)
    }

    /// This keyring and one more term, whose seed must be durable by now. The newest term of the result seals.
    ///
    /// # Errors
    /// [`TermError::Known`] if the keyring has that term already.
    pub fn with_term(&self, term: u32, seed: &Seed) -> Result<Self, TermError> {
        if self.term(term).is_some() {
            return Err(TermError::Known(term));
        }
        let mut older = self.older.clone();
        let (current, superseded) = if term > self.current.number {
            (Term::new(term, seed), self.current.clone())
        } else {
            (self.current.clone(), Term::new(term, seed))
        };
        older.insert(older.partition_point(|older| older.number < superseded.number), superseded);
        Ok(Self { current, older })
    }

    /// This keyring without an old term, once no record is sealed under it any more.
    ///
    /// # Errors
    /// [`TermError::Current`] for the newest term, [`TermError::Unknown`] for one that the keyring doesn't have.
    pub fn without_term(&self, term: u32) -> Result<Self, TermError> {
        if term == self.current.number {
            return Err(TermError::Current(term));
        }
        if self.term(term).is_none() {
            return Err(TermError::Unknown(term));
        }
        let older = self.older.iter().filter(|older| older.number != term).cloned().collect();
        Ok(Self { current: self.current.clone(), older })
    }

    /// Seals a body at its place, under the newest term.
    ///
    /// `salt` is random and never used twice: two records of one salt would share key and nonce, and so give away
    /// both bodies.
    ///
    /// # Panics
    /// If the body is longer than [`MAX_BODY_BYTES`]. What callers accept is far less.
    pub fn seal(&self, place: &Place, body: &[u8], salt: [u8; 32]) -> Sealed {
        assert!(body.len() <= MAX_BODY_BYTES, "a body of more than MAX_BODY_BYTES can't be sealed");
        let length = u32::try_from(body.len()).expect("MAX_BODY_BYTES is below 4 GiB");
        let padded = (LENGTH_BYTES + body.len()).next_multiple_of(PADDING_BYTES);
        let term = self.current.number;
        let derived = self.current.derive(&salt);

        // The whole record at once. The body is written where its ciphertext will stand, and encrypted there.
        let mut record = Vec::with_capacity(padded + RECORD_OVERHEAD_BYTES);
        record.push(VERSION);
        record.extend_from_slice(&term.to_be_bytes());
        record.extend_from_slice(&salt);
        record.extend_from_slice(derived.commitment());
        record.extend_from_slice(&length.to_be_bytes());
        record.extend_from_slice(body);
        record.resize(TEXT_AT + padded, 0);
        let tag = place
            .associated_data(term, |data| {
                derived.key().seal_in_place_separate_tag(zero_nonce(), Aad::from(data), &mut record[TEXT_AT..])
            })
            .expect("AES-GCM seals any text below 64 GiB");
        record.extend_from_slice(tag.as_ref());
        Sealed::new(record)
    }

    /// Opens a record at its place, and gives back the body alone.
    ///
    /// # Errors
    /// [`OpenError`] says why it didn't open.
    pub fn open(&self, place: &Place, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let mut buffer = Zeroizing::new(Vec::new());
        let body = self.decrypt(place, record, &mut buffer)?;
        buffer.truncate(body.end);
        buffer.drain(..body.start);
        Ok(buffer)
    }

    /// Opens a record into a buffer of the caller's, which is used again for the next record: nothing is allocated
    /// once it is large enough, and nothing wiped in between. The buffer holds the body until it is used again, wiped
    /// or dropped.
    ///
    /// # Errors
    /// [`OpenError`] says why it didn't open. The buffer is then empty and wiped.
    pub fn open_into<'b>(
        &self,
        place: &Place,
        record: &[u8],
        buffer: &'b mut Zeroizing<Vec<u8>>,
    ) -> Result<&'b [u8], OpenError> {
        let body = self.decrypt(place, record, buffer)?;
        Ok(&buffer[body])
    }

    /// Decrypts into the buffer and says where in it the body stands.
    fn decrypt(
        &self,
        place: &Place,
        record: &[u8],
        buffer: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Range<usize>, OpenError> {
        let opened = self.decrypt_unwiped(place, record, buffer);
        if opened.is_err() {
            buffer.zeroize();
        }
        opened
    }

    fn decrypt_unwiped(
        &self,
        place: &Place,
        record: &[u8],
        buffer: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Range<usize>, OpenError> {
        let parts = Parts::of(record)?;
        let term = self.term(parts.term).ok_or(OpenError::UnknownTerm(parts.term))?;
        let derived = term.derive(parts.salt);
        if !equal_in_constant_time(derived.commitment(), parts.commitment) {
            return Err(OpenError::WrongKey(parts.term));
        }

        if buffer.capacity() < parts.ciphertext.len() {
            // A new buffer, not a grown one: growing would leave a copy of the last body behind.
            *buffer = Zeroizing::new(Vec::with_capacity(parts.ciphertext.len()));
        }
        buffer.resize(parts.ciphertext.len(), 0);
        place
            .associated_data(parts.term, |data| {
                derived.key().open_separate_gather(
                    zero_nonce(),
                    Aad::from(data),
                    parts.ciphertext,
                    parts.tag,
                    &mut buffer[..],
                )
            })
            .map_err(|_| OpenError::Altered)?;
        body_within(buffer).ok_or(OpenError::Padding)
    }

    fn term(&self, number: u32) -> Option<&Term> {
        if number == self.current.number {
            return Some(&self.current);
        }
        self.older.iter().find(|term| term.number == number)
    }
}

impl Term {
    pub(crate) fn new(number: u32, seed: &Seed) -> Self {
        Self { number, prk: Prk::new_less_safe(HKDF_SHA256, seed.expose()) }
    }

    /// Derives the key and the commitment of the record with this salt.
    pub(crate) fn derive(&self, salt: &[u8; 32]) -> Derived {
        let mut okm = Zeroizing::new([0; 64]);
        self.prk
            .expand(&[RECORD_INFO, salt], OkmLength)
            .and_then(|expanded| expanded.fill(&mut okm[..]))
            .expect("HKDF-SHA-256 expands to 64 bytes");
        Derived(okm)
    }
}

/// What one record's salt gives: 32 bytes of key, 32 bytes of commitment.
pub(crate) struct Derived(Zeroizing<[u8; 64]>);

impl Derived {
    pub(crate) fn key(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0[..32]).expect("AES-256 takes a key of 32 bytes"))
    }

    pub(crate) fn commitment(&self) -> &[u8] {
        &self.0[32..]
    }
}

/// How many bytes a salt is expanded to.
struct OkmLength;

impl KeyType for OkmLength {
    fn len(&self) -> usize {
        64
    }
}

/// Why a term was not added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermError {
    /// The keyring has this term already.
    Known(u32),
    /// The keyring doesn't have this term.
    Unknown(u32),
    /// This is the newest term, which seals.
    Current(u32),
}

impl fmt::Display for TermError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(term) => write!(f, "the keyring has term {term} already"),
            Self::Unknown(term) => write!(f, "the keyring has no term {term}"),
            Self::Current(term) => write!(f, "term {term} is in use: add a new term before this one is removed"),
        }
    }
}

impl core::error::Error for TermError {}

/// Every record has a key of its own, so one nonce does for all.
pub(crate) fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Where the body stands in a decrypted text, if the padding is as `seal` makes it.
fn body_within(text: &[u8]) -> Option<Range<usize>> {
    let (length, rest) = text.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let padding = rest.get(length..)?;
    (padding.len() < PADDING_BYTES && padding.iter().all(|byte| *byte == 0))
        .then_some(LENGTH_BYTES..LENGTH_BYTES + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::VersionId;
    use crate::place::Kind;

    const SALT: [u8; 32] = [3; 32];

    fn keyring() -> Keyring {
        Keyring::new(1, &Seed::new(&[9; 32]))
    }

    fn place() -> Place {
        Place::new(Kind::Lane, "", b"discord.com client", "", None, 0)
    }

    /// Everything that names a record, as owned values that a test can change one by one.
    #[derive(Clone, Debug, PartialEq)]
    struct Named {
        kind: Kind,
        vault: String,
        key: Vec<u8>,
        name: String,
        version: Option<[u8; 16]>,
        generation: u64,
        columns: Vec<Vec<u8>>,
    }

    impl Named {
        fn place(&self) -> Place {
            let version = self.version.map(VersionId);
            let place = Place::new(self.kind, &self.vault, &self.key, &self.name, version.as_ref(), self.generation);
            self.columns.iter().fold(place, |place, column| place.column(column))
        }
    }

    fn named() -> impl Strategy<Value = Named> {
        let kind = prop::sample::select(vec![Kind::Secret, Kind::Version, Kind::Token, Kind::Definition]);
        let column = prop::collection::vec(any::<u8>(), 0..4);
        (
            kind,
            "[a-z]{0,4}",
            prop::collection::vec(any::<u8>(), 0..4),
            "[a-z-]{0,4}",
            any::<Option<[u8; 16]>>(),
            any::<u64>(),
            prop::collection::vec(column, 0..4),
        )
            .prop_map(|(kind, vault, key, name, version, generation, columns)| Named {
                kind,
                vault,
                key,
                name,
                version,
                generation,
                columns,
            })
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let (keyring, place) = (keyring(), place());
        let sealed = keyring.seal(&place, b"body", SALT);
        for bit in 0..sealed.as_bytes().len() * 8 {
            let mut record = sealed.as_bytes().to_vec();
            record[bit / 8] ^= 1 << (bit % 8);
            let error = keyring.open(&place, &record).map(|_| ()).unwrap_err();
            let expected = match bit / 8 {
                0 => OpenError::NotARecord(crate::NotARecord::Version(record[0])),
                1..5 => OpenError::UnknownTerm(u32::from_be_bytes(record[1..5].try_into().unwrap())),
                5..69 => OpenError::WrongKey(1),
                _ => OpenError::Altered,
            };
            assert_eq!(error, expected, "bit {bit}");
        }
    }

    #[test]
    fn every_other_length_of_a_record_is_noticed() {
        let (keyring, place) = (keyring(), place());
        let sealed = keyring.seal(&place, &[1; 300], SALT);
        let whole = sealed.as_bytes();
        for length in 0..whole.len() {
            assert!(keyring.open(&place, &whole[..length]).is_err(), "{length}");
        }
        for more in 1..=PADDING_BYTES {
            let mut longer = whole.to_vec();
            longer.resize(whole.len() + more, 0);
            assert!(keyring.open(&place, &longer).is_err(), "{more}");
        }
    }

    #[test]
    fn a_record_under_another_terms_number_is_noticed() {
        let both = keyring().with_term(2, &Seed::new(&[8; 32])).unwrap();
        let mut record = keyring().seal(&place(), b"body", SALT).as_bytes().to_vec();
        record[4] = 2;
        assert_eq!(both.open(&place(), &record).map(|_| ()), Err(OpenError::WrongKey(2)));
        // And with the other term's commitment too.
        let other = Keyring::new(2, &Seed::new(&[8; 32])).seal(&place(), b"body", SALT);
        record[37..69].copy_from_slice(&other.as_bytes()[37..69]);
        assert_eq!(both.open(&place(), &record).map(|_| ()), Err(OpenError::Altered));
    }

    #[test]
    fn terms_of_one_seed_do_not_open_each_other() {
        let seed = Seed::new(&[9; 32]);
        let both = Keyring::new(1, &seed).with_term(2, &seed).unwrap();
        let mut record = keyring().seal(&place(), b"body", SALT).as_bytes().to_vec();
        record[4] = 2;
        assert_eq!(both.open(&place(), &record).map(|_| ()), Err(OpenError::Altered));
    }

    #[test]
    fn a_new_term_seals_and_older_terms_still_open() {
        let first = keyring();
        let old = first.seal(&place(), b"old", SALT);
        assert_eq!(first.next_term(), 2);
        let second = first.with_term(2, &Seed::new(&[8; 32])).unwrap();
        let third = second.with_term(3, &Seed::new(&[7; 32])).unwrap();
        let new = third.seal(&place(), b"new", SALT);

        assert_eq!((old.term(), new.term(), third.current_term()), (1, 3, 3));
        assert_eq!(third.terms().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(third.open(&place(), old.as_bytes()).unwrap().as_slice(), b"old");
        assert_eq!(third.open(&place(), new.as_bytes()).unwrap().as_slice(), b"new");
        assert_eq!(second.open(&place(), new.as_bytes()).map(|_| ()), Err(OpenError::UnknownTerm(3)));

        let without = third.without_term(1).unwrap();
        assert_eq!(without.terms().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(without.open(&place(), old.as_bytes()).map(|_| ()), Err(OpenError::UnknownTerm(1)));
    }

    #[test]
    fn terms_may_come_in_any_order() {
        let seed = Seed::new(&[9; 32]);
        let keyring = [5, 1, 3, 2]
            .into_iter()
            .fold(Keyring::new(4, &seed), |keyring, term| keyring.with_term(term, &seed).unwrap());
        assert_eq!(keyring.terms().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(keyring.current_term(), 5);
    }

    #[test]
    fn a_term_is_added_once_and_the_newest_stays() {
        let keyring = keyring();
        let seed = Seed::new(&[8; 32]);
        assert_eq!(keyring.with_term(1, &seed).map(|_| ()), Err(TermError::Known(1)));
        assert_eq!(keyring.without_term(1).map(|_| ()), Err(TermError::Current(1)));
        assert_eq!(keyring.without_term(7).map(|_| ()), Err(TermError::Unknown(7)));
    }

    #[test]
    fn a_body_is_padded_so_that_its_length_says_little() {
        let keyring = keyring();
        for (body, text) in [(0, 256), (1, 256), (252, 256), (253, 512), (508, 512), (509, 768)] {
            let sealed = keyring.seal(&place(), &vec![1; body], SALT);
            assert_eq!(sealed.as_bytes().len(), text + RECORD_OVERHEAD_BYTES, "{body}");
            assert_eq!(keyring.open(&place(), sealed.as_bytes()).unwrap().len(), body);
        }
    }

    #[test]
    fn only_the_padding_that_seal_makes_is_taken() {
        let padded = |length: u32, fill: u8, total: usize| {
            let mut text = length.to_be_bytes().to_vec();
            text.resize(total, fill);
            body_within(&text)
        };
        assert_eq!(padded(0, 0, 256), Some(4..4));
        assert_eq!(padded(252, 1, 256), Some(4..256));
        assert_eq!(padded(251, 1, 256), None, "padding of ones");
        assert_eq!(padded(253, 0, 256), None, "a body beyond the end");
        assert_eq!(padded(u32::MAX, 0, 256), None);
        assert_eq!(padded(252, 0, 512), None, "more padding than needed");
        assert_eq!(padded(253, 0, 512), Some(4..257));
    }

    #[test]
    fn a_buffer_that_is_used_again_holds_the_next_body_alone() {
        let (keyring, place) = (keyring(), place());
        let mut buffer = Zeroizing::new(Vec::new());
        for body in [vec![1; 2000], vec![2; 10], Vec::new(), vec![3; 5000]] {
            let sealed = keyring.seal(&place, &body, SALT);
            assert_eq!(keyring.open_into(&place, sealed.as_bytes(), &mut buffer).unwrap(), body);
        }
    }

    #[test]
    fn a_buffer_is_wiped_where_nothing_opens() {
        let (keyring, place) = (keyring(), place());
        let sealed = keyring.seal(&place, b"body", SALT);
        let mut altered = sealed.as_bytes().to_vec();
        altered[70] ^= 1;
        let mut buffer = Zeroizing::new(Vec::new());
        keyring.open_into(&place, sealed.as_bytes(), &mut buffer).unwrap();
        assert_eq!(keyring.open_into(&place, &altered, &mut buffer), Err(OpenError::Altered));
        assert!(buffer.is_empty());
    }

    #[test]
    fn another_salt_makes_another_record_of_the_same_body() {
        let keyring = keyring();
        let (one, other) = (keyring.seal(&place(), b"body", SALT), keyring.seal(&place(), b"body", [4; 32]));
        assert_ne!(one.tag(), other.tag());
        assert_ne!(one.as_bytes()[69..], other.as_bytes()[69..]);
    }

    #[test]
    fn what_holds_keys_can_be_shared_and_not_printed() {
        fn shared<T: Send + Sync>() {}
        shared::<Keyring>();
        shared::<crate::KeyEncryptionKey>();

        trait Silent {
            const PRINTS: bool = false;
        }
        struct Probe<T>(core::marker::PhantomData<T>);
        impl<T> Silent for Probe<T> {}
        impl<T: fmt::Debug> Probe<T> {
            const PRINTS: bool = true;
        }
        const { assert!(Probe::<u8>::PRINTS, "the probe itself") };
        const { assert!(!Probe::<Keyring>::PRINTS) };
        const { assert!(!Probe::<Seed>::PRINTS) };
        const { assert!(!Probe::<crate::KeyEncryptionKey>::PRINTS) };
        const { assert!(!Probe::<crate::SecretBody>::PRINTS) };
        const { assert!(!Probe::<crate::SecretBodyView<'_>>::PRINTS) };
    }

    proptest! {
        #[test]
        fn a_record_opens_at_its_place_and_gives_the_body_back(
            named in named(),
            body in prop::collection::vec(any::<u8>(), 0..1500),
            salt in any::<[u8; 32]>(),
        ) {
            let sealed = keyring().seal(&named.place(), &body, salt);
            let stored = Sealed::from_bytes(sealed.as_bytes().to_vec()).unwrap();
            let opened = keyring().open(&named.place(), stored.as_bytes()).unwrap();
            prop_assert_eq!(&*opened, &body);
            prop_assert_eq!(stored.as_bytes().len() % PADDING_BYTES, RECORD_OVERHEAD_BYTES);
        }

        #[test]
        fn a_record_opens_at_no_other_place(sealed_at in named(), opened_at in named(), field in 0..8) {
            // All fields equal but one, or, for the last, any number of them different.
            let (mut other, elsewhere) = (sealed_at.clone(), opened_at);
            match field {
                0 => other.kind = elsewhere.kind,
                1 => other.vault = elsewhere.vault,
                2 => other.key = elsewhere.key,
                3 => other.name = elsewhere.name,
                4 => other.version = elsewhere.version,
                5 => other.generation = elsewhere.generation,
                6 => other.columns = elsewhere.columns,
                _ => other = elsewhere,
            }
            let sealed = keyring().seal(&sealed_at.place(), b"body", SALT);
            let opened = keyring().open(&other.place(), sealed.as_bytes()).map(|_| ());
            if other == sealed_at {
                prop_assert_eq!(opened, Ok(()));
            } else {
                prop_assert_eq!(opened, Err(OpenError::Altered));
            }
        }

        /// Bytes that move from one field to the next would be unseen without the lengths.
        #[test]
        fn fields_do_not_run_into_each_other(text in "[a-z]{2,8}", cut in 0..8_usize, other in 0..8_usize) {
            let (cut, other) = (cut.min(text.len()), other.min(text.len()));
            prop_assume!(cut != other);
            let at = |cut: usize| {
                let (vault, key) = text.split_at(cut);
                Place::new(Kind::Secret, vault, key.as_bytes(), "", None, 0)
            };
            let sealed = keyring().seal(&at(cut), b"body", SALT);
            prop_assert_eq!(keyring().open(&at(other), sealed.as_bytes()).map(|_| ()), Err(OpenError::Altered));
        }

        #[test]
        fn bytes_that_nobody_sealed_do_not_open(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            prop_assert!(keyring().open(&place(), &bytes).is_err());
        }
    }
}
