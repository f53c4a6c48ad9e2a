//! What is sealed in a version's record: the value, and what belongs to it.

use std::collections::BTreeMap;

use core::fmt;

use secret::Secret;
use zeroize::Zeroizing;

/// Longest value, in bytes, as in Azure Key Vault.
pub const MAX_VALUE_BYTES: usize = 25_600;
/// Longest content type, in characters.
pub const MAX_CONTENT_TYPE_CHARS: usize = 255;
/// Most tags of one version.
pub const MAX_TAGS: usize = 15;
/// Longest name and longest value of a tag, in characters.
pub const MAX_TAG_CHARS: usize = 512;

const LAYOUT: u8 = 1;

/// The body of one version of a secret.
///
/// The stored form, integers big-endian, texts UTF-8:
///
/// ```text
/// layout        u8 = 1
/// updated       i64                  Unix seconds
/// value         u32 length | bytes
/// content type  u8 = 0, or u8 = 1 | u32 length | text
/// written by    u32 length | text
/// tags          u32 count | count times (u32 length | name | u32 length | value)
/// ```
///
/// Tags stand in the order of their names, each name once. Nothing follows them. There is one form for each body.
pub struct SecretBody {
    /// The secret itself.
    pub value: Secret,
    /// What the value is, in the words of whoever set it.
    pub content_type: Option<String>,
    /// Names and values of whoever set the secret.
    pub tags: BTreeMap<String, String>,
    /// When an attribute, a tag or the content type last changed, in Unix seconds.
    pub updated: i64,
    /// Who made the version: an app's name, or Vestal's own renewal.
    pub written_by: String,
}

impl SecretBody {
    /// Checks the limits of Azure Key Vault. What is read back is not checked again.
    ///
    /// # Errors
    /// [`LimitError`] names the first limit that is passed.
    pub fn check_limits(&self) -> Result<(), LimitError> {
        if self.value.len() > MAX_VALUE_BYTES {
            return Err(LimitError::Value);
        }
        if self.content_type.as_deref().is_some_and(|text| longer_than(text, MAX_CONTENT_TYPE_CHARS)) {
            return Err(LimitError::ContentType);
        }
        if self.tags.len() > MAX_TAGS {
            return Err(LimitError::Tags);
        }
        for (name, value) in &self.tags {
            if longer_than(name, MAX_TAG_CHARS) {
                return Err(LimitError::TagName);
            }
            if longer_than(value, MAX_TAG_CHARS) {
                return Err(LimitError::TagValue);
            }
        }
        Ok(())
    }

    /// Writes the stored form.
    ///
    /// # Panics
    /// If a text or the value is 4 GiB long or more; the limits are far below.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let texts = self.tags.iter().flat_map(|(name, value)| [name, value]).chain(&self.content_type);
        let length = 1
            + 8
            + 4
            + self.value.len()
            + 1
            + 4
            + self.written_by.len()
            + 4
            + texts.map(|text| 4 + text.len()).sum::<usize>();
        // The whole length at once: growing would leave copies of the value behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&self.updated.to_be_bytes());
        put(&mut bytes, self.value.expose());
        bytes.push(u8::from(self.content_type.is_some()));
        if let Some(content_type) = &self.content_type {
            put(&mut bytes, content_type.as_bytes());
        }
        put(&mut bytes, self.written_by.as_bytes());
        put_length(&mut bytes, self.tags.len());
        for (name, value) in &self.tags {
            put(&mut bytes, name.as_bytes());
            put(&mut bytes, value.as_bytes());
        }
        debug_assert_eq!(bytes.len(), length);
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`BodyError`] says what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        SecretBodyView::decode(bytes).map(|view| view.to_body())
    }
}

/// A [`SecretBody`] that borrows the opened bytes: for reads, which copy the value only once, into the answer.
#[derive(Clone, Copy)]
pub struct SecretBodyView<'a> {
    /// The secret itself.
    pub value: &'a [u8],
    /// What the value is, in the words of whoever set it.
    pub content_type: Option<&'a str>,
    /// Names and values of whoever set the secret.
    pub tags: Tags<'a>,
    /// When an attribute, a tag or the content type last changed, in Unix seconds.
    pub updated: i64,
    /// Who made the version: an app's name, or Vestal's own renewal.
    pub written_by: &'a str,
}

impl<'a> SecretBodyView<'a> {
    /// Reads the stored form that [`SecretBody`] draws, and checks all of it.
    ///
    /// # Errors
    /// [`BodyError`] says what is wrong with the bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BodyError> {
        let mut rest = bytes;
        let layout = *rest.split_off_first().ok_or(BodyError::Short)?;
        if layout != LAYOUT {
            return Err(BodyError::Layout(layout));
        }
        let updated = i64::from_be_bytes(*take_array(&mut rest)?);
        let value = take(&mut rest)?;
        let content_type = match rest.split_off_first().ok_or(BodyError::Short)? {
            0 => None,
            1 => Some(take_text(&mut rest)?),
            _ => return Err(BodyError::Presence),
        };
        let written_by = take_text(&mut rest)?;
        let count = take_length(&mut rest)?;
        let tags = Tags { count, pairs: rest };
        let mut before = None;
        for _ in 0..count {
            let name = take_text(&mut rest)?;
            take_text(&mut rest)?;
            if before.is_some_and(|before| before >= name) {
                return Err(BodyError::TagOrder);
            }
            before = Some(name);
        }
        if !rest.is_empty() {
            return Err(BodyError::Long);
        }
        Ok(Self { value, content_type, tags, updated, written_by })
    }

    /// Copies everything out.
    pub fn to_body(&self) -> SecretBody {
        SecretBody {
            value: Secret::copy_of(self.value),
            content_type: self.content_type.map(str::to_owned),
            tags: self.tags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            updated: self.updated,
            written_by: self.written_by.to_owned(),
        }
    }
}

/// The tags of a [`SecretBodyView`], name and value, in the order of their names. Copying it starts a second look
/// where this one stands.
#[derive(Clone, Copy)]
pub struct Tags<'a> {
    count: usize,
    /// Checked when the view was made, so that reading it again can't fail.
    pairs: &'a [u8],
}

impl Tags<'_> {
    /// Whether there are none left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        Some((take_text(&mut self.pairs).ok()?, take_text(&mut self.pairs).ok()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Tags<'_> {}

/// Which limit a body passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// The value is longer than [`MAX_VALUE_BYTES`].
    Value,
    /// The content type is longer than [`MAX_CONTENT_TYPE_CHARS`].
    ContentType,
    /// There are more than [`MAX_TAGS`] tags.
    Tags,
    /// A tag's name is longer than [`MAX_TAG_CHARS`].
    TagName,
    /// A tag's value is longer than [`MAX_TAG_CHARS`].
    TagValue,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => write!(f, "the value is longer than {MAX_VALUE_BYTES} bytes"),
            Self::ContentType => write!(f, "the content type is longer than {MAX_CONTENT_TYPE_CHARS} characters"),
            Self::Tags => write!(f, "there are more than {MAX_TAGS} tags"),
            Self::TagName => write!(f, "a tag's name is longer than {MAX_TAG_CHARS} characters"),
            Self::TagValue => write!(f, "a tag's value is longer than {MAX_TAG_CHARS} characters"),
        }
    }
}

impl core::error::Error for LimitError {}

/// Why opened bytes are not the body of a secret's version. They were sealed so: a program's fault, or a newer one's
/// layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// A layout that this program doesn't know.
    Layout(u8),
    /// The bytes end before the body does.
    Short,
    /// Bytes follow the body.
    Long,
    /// The content type is neither there nor not there.
    Presence,
    /// A text is not UTF-8.
    Text,
    /// The tags are out of order, or one is there twice.
    TagOrder,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(layout) => write!(
                f,
                "the secret's body has layout {layout} and this program knows {LAYOUT}; run the version that wrote it"
            ),
            Self::Short => f.write_str("the secret's body ends too early"),
            Self::Long => f.write_str("something follows the secret's body"),
            Self::Presence => f.write_str("the mark before the content type is neither 0 nor 1"),
            Self::Text => f.write_str("a text in the secret's body is not UTF-8"),
            Self::TagOrder => f.write_str("the tags in the secret's body are out of order"),
        }
    }
}

impl core::error::Error for BodyError {}

/// Counts as Azure does, whose characters are units of UTF-16.
fn longer_than(text: &str, limit: usize) -> bool {
    text.len() > limit && text.encode_utf16().count() > limit
}

pub(crate) fn put(bytes: &mut Vec<u8>, field: &[u8]) {
    put_length(bytes, field.len());
    bytes.extend_from_slice(field);
}

pub(crate) fn put_length(bytes: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("no field of a body is 4 GiB long");
    bytes.extend_from_slice(&length.to_be_bytes());
}

pub(crate) fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], BodyError> {
    let (array, after) = rest.split_first_chunk().ok_or(BodyError::Short)?;
    *rest = after;
    Ok(array)
}

pub(crate) fn take_length(rest: &mut &[u8]) -> Result<usize, BodyError> {
    let length = u32::from_be_bytes(*take_array(rest)?);
    usize::try_from(length).map_err(|_| BodyError::Short)
}

pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BodyError> {
    let length = take_length(rest)?;
    rest.split_off(..length).ok_or(BodyError::Short)
}

pub(crate) fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, BodyError> {
    core::str::from_utf8(take(rest)?).map_err(|_| BodyError::Text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(value: &[u8], content_type: Option<&str>, tags: &[(&str, &str)]) -> SecretBody {
        SecretBody {
            value: Secret::copy_of(value),
            content_type: content_type.map(str::to_owned),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            updated: 1_700_000_000,
            written_by: "reader".to_owned(),
        }
    }

    /// What a body is made of, which unlike the body can be printed.
    type Told = (Vec<u8>, Option<String>, BTreeMap<String, String>, i64, String);

    fn told() -> impl Strategy<Value = Told> {
        (
            prop::collection::vec(any::<u8>(), 0..300),
            any::<Option<String>>(),
            prop::collection::btree_map(any::<String>(), any::<String>(), 0..6),
            any::<i64>(),
            any::<String>(),
        )
    }

    fn made((value, content_type, tags, updated, written_by): Told) -> SecretBody {
        SecretBody { value: Secret::new(value), content_type, tags, updated, written_by }
    }

    fn error(bytes: &[u8]) -> Option<BodyError> {
        SecretBody::decode(bytes).err()
    }

    #[test]
    fn the_stored_form_is_what_the_doc_draws() {
        let drawn = [
            &[1][..],
            &1_700_000_000_i64.to_be_bytes(),
            b"\0\0\0\x03abc",
            b"\x01\0\0\0\x04text",
            b"\0\0\0\x06reader",
            b"\0\0\0\x02\0\0\0\x01a\0\0\0\x02xy\0\0\0\x01b\0\0\0\0",
        ]
        .concat();
        let body = body(b"abc", Some("text"), &[("b", ""), ("a", "xy")]);
        assert_eq!(*body.encode(), drawn);
    }

    #[test]
    fn a_newer_layout_is_named() {
        let mut bytes = body(b"abc", None, &[]).encode();
        bytes[0] = 2;
        assert_eq!(error(&bytes), Some(BodyError::Layout(2)));
        assert_eq!(error(&[]), Some(BodyError::Short));
    }

    #[test]
    fn what_follows_the_body_is_refused() {
        let mut bytes = body(b"abc", None, &[("a", "b")]).encode();
        bytes.push(0);
        assert_eq!(error(&bytes), Some(BodyError::Long));
    }

    #[test]
    fn each_body_has_one_stored_form() {
        let head = |presence: u8| [&[1][..], &[0; 8], &[0; 4], &[presence]].concat();
        assert_eq!(error(&[&head(0)[..], &[0; 8]].concat()), None);
        assert_eq!(error(&[&head(2)[..], &[0; 8]].concat()), Some(BodyError::Presence));
        let tags = |tags: &[u8]| error(&[&head(0)[..], &[0; 4], tags].concat());
        assert_eq!(tags(b"\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\0\x01b\0\0\0\0"), None);
        assert_eq!(tags(b"\0\0\0\x02\0\0\0\x01b\0\0\0\0\0\0\0\x01a\0\0\0\0"), Some(BodyError::TagOrder));
        assert_eq!(tags(b"\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\0\x01a\0\0\0\0"), Some(BodyError::TagOrder));
        assert_eq!(tags(b"\0\0\0\x01\0\0\0\x01\xff\0\0\0\0"), Some(BodyError::Text));
        assert_eq!(tags(b"\xff\xff\xff\xff"), Some(BodyError::Short));
    }

    #[test]
    fn limits_are_azures_and_the_last_that_fits_is_taken() {
        let long = |chars: usize| "é".repeat(chars);
        let tags = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        let with = |change: fn(&mut SecretBody, usize), size: usize| {
            let mut body = body(b"", None, &[]);
            change(&mut body, size);
            body.check_limits()
        };
        let value: fn(&mut SecretBody, usize) = |body, size| body.value = Secret::new(vec![0; size]);
        assert_eq!(with(value, 25_600), Ok(()));
        assert_eq!(with(value, 25_601), Err(LimitError::Value));

        let mut limited = body(b"", Some(&long(255)), &[(&long(512), &long(512))]);
        assert_eq!(limited.check_limits(), Ok(()));
        limited.content_type = Some(long(256));
        assert_eq!(limited.check_limits(), Err(LimitError::ContentType));
        assert_eq!(body(b"", None, &[(&long(513), "")]).check_limits(), Err(LimitError::TagName));
        assert_eq!(body(b"", None, &[("a", &long(513))]).check_limits(), Err(LimitError::TagValue));
        limited = SecretBody { tags: tags(15), ..body(b"", None, &[]) };
        assert_eq!(limited.check_limits(), Ok(()));
        limited.tags = tags(16);
        assert_eq!(limited.check_limits(), Err(LimitError::Tags));
    }

    proptest! {
        #[test]
        fn a_body_comes_back_from_its_stored_form(told in told()) {
            let body = made(told);
            let bytes = body.encode();
            let back = SecretBody::decode(&bytes).unwrap();
            prop_assert!(back.value.equals(&body.value));
            prop_assert_eq!(&back.content_type, &body.content_type);
            prop_assert_eq!(&back.tags, &body.tags);
            prop_assert_eq!(back.updated, body.updated);
            prop_assert_eq!(&back.written_by, &body.written_by);
        }

        #[test]
        fn a_view_shows_what_the_body_holds(told in told()) {
            let body = made(told);
            let bytes = body.encode();
            let view = SecretBodyView::decode(&bytes).unwrap();
            prop_assert_eq!(view.value, body.value.expose());
            prop_assert_eq!(view.content_type, body.content_type.as_deref());
            prop_assert_eq!(view.tags.len(), body.tags.len());
            prop_assert_eq!(view.tags.is_empty(), body.tags.is_empty());
            prop_assert!(view.tags.eq(body.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
            prop_assert_eq!(view.updated, body.updated);
            prop_assert_eq!(view.written_by, body.written_by.as_str());
        }

        #[test]
        fn a_cut_body_is_refused(told in told(), at in any::<prop::sample::Index>()) {
            let bytes = made(told).encode();
            prop_assert!(SecretBody::decode(&bytes[..at.index(bytes.len())]).is_err());
        }

        /// Whatever bytes are read at all are written again just so: no body has two forms.
        #[test]
        fn altered_bytes_are_refused_or_have_one_meaning(
            told in told(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = made(told).encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = SecretBody::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
