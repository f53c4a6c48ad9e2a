//! The type of secret bytes.
//!
//! A [`Secret`] can't be printed, serialised or copied by accident: it has no `Debug`, `Display`, `Serialize` or
//! `Clone`, and its bytes are wiped when it is dropped. Whoever needs the bytes says so with [`Secret::expose`],
//! which makes every such place easy to find. This crate depends on nothing but `zeroize`, and never will.

use zeroize::{Zeroize, Zeroizing};

/// Secret bytes: an access token, a client secret, a key. Wiped on drop.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes. The vector's own buffer becomes the secret's: no copy is made.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies the bytes out of a buffer that the caller doesn't own; the caller wipes its own copy.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// The bytes. What is done with them is the caller's to answer for.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, where they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }

    /// A second owner of the same bytes. Spelled out, so that no copy is made by accident.
    pub fn duplicate(&self) -> Self {
        Self::copy_of(&self.0)
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both hold the same bytes, in a time that depends on their lengths alone.
    pub fn equals(&self, other: &Self) -> bool {
        equal_in_constant_time(&self.0, &other.0)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

/// Collects secret bytes piece by piece. Growing moves the bytes to a new buffer and wipes the old one.
#[derive(Default)]
pub struct SecretBuilder(Vec<u8>);

impl SecretBuilder {
    /// An empty builder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends the bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut grown = Vec::with_capacity(needed.max(self.0.capacity() * 2));
            grown.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
    }

    /// The secret that was built.
    pub fn finish(mut self) -> Secret {
        Secret::new(core::mem::take(&mut self.0))
    }
}

impl Drop for SecretBuilder {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
pub fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let difference = left.iter().zip(right).fold(0, |seen, (l, r)| seen | (l ^ r));
    core::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_sees_length_and_every_byte() {
        let secret = Secret::copy_of(b"abc");
        assert!(secret.equals(&Secret::copy_of(b"abc")));
        assert!(!secret.equals(&Secret::copy_of(b"abd")));
        assert!(!secret.equals(&Secret::copy_of(b"ab")));
        assert!(!secret.equals(&Secret::copy_of(b"abcd")));
    }

    #[test]
    fn a_builder_grows_without_losing_bytes() {
        let mut builder = SecretBuilder::with_capacity(1);
        for _ in 0..100 {
            builder.push(b"0123456789");
        }
        assert_eq!(builder.finish().expose(), "0123456789".repeat(100).as_bytes());
    }

    /// A secret implements none of the traits by which it could leak. In each probe the inherent method is found
    /// first where the trait is implemented, and the fallback where it is not.
    #[test]
    fn a_secret_cannot_be_printed_or_cloned() {
        trait Fallback {
            fn leaks(&self) -> bool {
                false
            }
        }
        macro_rules! refuses {
            ($bound:path) => {{
                struct Probe<T>(core::marker::PhantomData<T>);
                impl<T> Fallback for Probe<T> {}
                impl<T: $bound> Probe<T> {
                    fn leaks(&self) -> bool {
                        true
                    }
                }
                assert!(!Probe::<Secret>(core::marker::PhantomData).leaks(), stringify!($bound));
                assert!(Probe::<String>(core::marker::PhantomData).leaks(), "the probe itself");
            }};
        }
        refuses!(core::fmt::Debug);
        refuses!(core::fmt::Display);
        refuses!(Clone);
    }
}
