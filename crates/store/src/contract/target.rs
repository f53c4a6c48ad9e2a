//! What every [`Target`] must do, as checks that a target's own crate runs.
//!
//! ```ignore
//! store::target_contract!(MyOpener);                  // one #[test] a check
//! store::target_contract!(MyOpener, run_on_tokio);    // the same, driven by run_on_tokio(future)
//! ```
//!
//! The checks of what a target can't do, such as to disable a version, hold it to doing no harm instead.

use core::future::{Future, ready};

use secret::Secret;

use super::all;
use crate::{Held, Mark, Parcel, Target, TargetErrorKind};

/// Opens the targets that the checks are about.
pub trait TargetOpener {
    /// What is opened.
    type Opened: OpenedTarget;

    /// A new, empty target, apart from all others.
    fn fresh(&self) -> impl Future<Output = Self::Opened>;
}

/// A target, and what somebody else can do there behind Vestal's back.
pub trait OpenedTarget {
    /// The target, as the keeper has it.
    fn target(&self) -> &dyn Target;

    /// Somebody else makes a version the current one, by the target's own means.
    fn write_by_hand(&self, name: &str, value: &str) -> impl Future<Output = ()>;

    /// Somebody else disables the current version. `false` where the target knows no such thing.
    fn disable_by_hand(&self, _name: &str) -> impl Future<Output = bool> {
        ready(false)
    }

    /// Whether names that differ in case alone are one name there.
    fn folds_case(&self) -> bool;

    /// Names that it can't hold, at least one.
    fn unfit_names(&self) -> Vec<String>;
}

/// Makes a `#[test]` of each check. The first argument is an expression whose value is a [`TargetOpener`]; the second,
/// the function that drives a check's future, is [`block_on`](super::block_on) where it isn't given.
#[macro_export]
macro_rules! target_contract {
    ($opener:expr) => {
        $crate::target_contract!($opener, $crate::contract::block_on);
    };
    ($opener:expr, $run:path) => {
        $crate::target_contract! { @checks $opener, $run;
            nothing_is_held_under_a_fresh_name
            what_was_written_is_read_back_whole
            a_later_write_supersedes_an_earlier_one
            no_expiry_stays_none
            a_new_end_of_the_same_value_is_taken
            the_same_parcel_twice_is_harmless
            what_somebody_else_wrote_has_no_mark
            a_delivery_goes_over_what_somebody_else_wrote
            a_superseded_version_is_disabled_and_the_current_one_stays
            disabling_what_is_gone_is_no_error
            a_disabled_current_version_is_told_as_such
            names_are_held_apart
            names_compare_by_case_or_not
            the_longest_name_is_held
            an_unfit_name_is_refused_with_words
            the_largest_value_is_held
            a_larger_value_is_refused_and_changes_nothing
            values_come_back_byte_for_byte
            writes_of_many_names_at_once_are_each_whole
            an_error_tells_no_value
            its_pace_lets_deliveries_begin
        }
    };
    (@checks $opener:expr, $run:path; $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $run($crate::contract::target::$check(&$opener));
            }
        )*
    };
}

/// The most bytes of a value, as at Azure Key Vault.
const LARGEST_VALUE_BYTES: usize = 25_600;

/// An end far enough ahead that no target refuses to give the value out.
const END: i64 = 4_000_000_000;

/// A text that no error may hold.
const CANARY: &str = "canary-5f1d0a7e";

/// What nobody wrote is `None`, and no error.
pub async fn nothing_is_held_under_a_fresh_name(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    assert!(read(&opened, "never-written").await.is_none());
}

/// Value, expiry, mark and version id, and readers can get it.
pub async fn what_was_written_is_read_back_whole(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let parcel = parcel("eyJhbGciOiJub25lIn0.e30.", 7);
    let version = write(&opened, "hourly-token", &parcel).await;
    assert!(!version.is_empty());
    let held = current(&opened, "hourly-token").await;
    assert_holds(&held, &parcel);
    assert_eq!(held.version, version);
}

/// The last write is what is there, under an id that no other had.
pub async fn a_later_write_supersedes_an_earlier_one(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let mut versions = Vec::new();
    for generation in 1..=4 {
        let parcel = parcel(&format!("value-{generation}"), generation);
        versions.push(write(&opened, "hourly-token", &parcel).await);
        let held = current(&opened, "hourly-token").await;
        assert_holds(&held, &parcel);
        assert_eq!(Some(&held.version), versions.last());
    }
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 4, "each has an id of its own");
}

/// A token whose end isn't known gets none there, whatever stood there before.
pub async fn no_expiry_stays_none(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let endless = |generation| Parcel { expires: None, ..parcel("endless", generation) };
    write(&opened, "endless-token", &endless(1)).await;
    assert_holds(&current(&opened, "endless-token").await, &endless(1));
    // Nor is an earlier version's end taken over.
    write(&opened, "endless-token", &parcel("ends", 2)).await;
    write(&opened, "endless-token", &endless(3)).await;
    assert_holds(&current(&opened, "endless-token").await, &endless(3));
}

/// A provider may give the same value a later end.
pub async fn a_new_end_of_the_same_value_is_taken(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    write(&opened, "hourly-token", &parcel("same", 1)).await;
    let later = Parcel { expires: Some(END + 3600), ..parcel("same", 1) };
    let version = write(&opened, "hourly-token", &later).await;
    let held = current(&opened, "hourly-token").await;
    assert_holds(&held, &later);
    assert_eq!(held.version, version);
}

/// A delivery whose answer was lost is made again.
pub async fn the_same_parcel_twice_is_harmless(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let parcel = parcel("value-1", 1);
    write(&opened, "hourly-token", &parcel).await;
    let version = write(&opened, "hourly-token", &parcel).await;
    let held = current(&opened, "hourly-token").await;
    assert_holds(&held, &parcel);
    assert_eq!(held.version, version);
}

/// Somebody else's version is told by its missing mark, and each by an id of its own.
pub async fn what_somebody_else_wrote_has_no_mark(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    opened.write_by_hand("others-secret", "never ours").await;
    let never_ours = current(&opened, "others-secret").await;
    assert!(never_ours.mark.is_none());
    assert_eq!(text(&never_ours), "never ours");

    let version = write(&opened, "hourly-token", &parcel("ours", 1)).await;
    let mut seen = vec![version];
    for value in ["by hand", "by hand again", "by-hand"] {
        opened.write_by_hand("hourly-token", value).await;
        let held = current(&opened, "hourly-token").await;
        assert!(held.mark.is_none(), "{value:?} isn't ours");
        assert!(held.enabled);
        assert_eq!(text(&held), value);
        assert!(!seen.contains(&held.version), "{value:?} is another version");
        assert_eq!(current(&opened, "hourly-token").await.version, held.version, "a look changes nothing");
        seen.push(held.version);
    }
    // What Vestal delivered once and somebody else put back isn't a delivery.
    write(&opened, "hourly-token", &parcel("ours-2", 2)).await;
    opened.write_by_hand("hourly-token", "ours").await;
    assert!(current(&opened, "hourly-token").await.mark.is_none());
}

/// Whether it may is the keeper's business; the target does it.
pub async fn a_delivery_goes_over_what_somebody_else_wrote(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    opened.write_by_hand("hourly-token", "the flow's").await;
    let first = parcel("ours", 1);
    write(&opened, "hourly-token", &first).await;
    assert_holds(&current(&opened, "hourly-token").await, &first);
    opened.write_by_hand("hourly-token", "the flow's again").await;
    let version = write(&opened, "hourly-token", &first).await;
    let held = current(&opened, "hourly-token").await;
    assert_holds(&held, &first);
    assert_eq!(held.version, version);
}

/// What is superseded may go; what readers read stays.
pub async fn a_superseded_version_is_disabled_and_the_current_one_stays(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let first = write(&opened, "hourly-token", &parcel("value-1", 1)).await;
    let second = parcel("value-2", 2);
    write(&opened, "hourly-token", &second).await;
    opened.target().disable("hourly-token", &first).await.expect("it was superseded");
    assert_holds(&current(&opened, "hourly-token").await, &second);
}

/// Twice, of a version that never was, under a name that never was.
pub async fn disabling_what_is_gone_is_no_error(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let first = write(&opened, "hourly-token", &parcel("value-1", 1)).await;
    let second = parcel("value-2", 2);
    write(&opened, "hourly-token", &second).await;
    let unknown = "0".repeat(32);
    for (name, version) in
        [("hourly-token", &first), ("hourly-token", &first), ("hourly-token", &unknown), ("never-written", &unknown)]
    {
        let answer = opened.target().disable(name, version).await;
        assert_eq!(answer, Ok(()), "{version} of {name}");
    }
    assert_holds(&current(&opened, "hourly-token").await, &second);
    assert!(read(&opened, "never-written").await.is_none());
}

/// Readers can't get it, and so neither does Vestal; the next write is readable again.
pub async fn a_disabled_current_version_is_told_as_such(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    write(&opened, "hourly-token", &parcel("value-1", 1)).await;
    if !opened.disable_by_hand("hourly-token").await {
        return; // It knows no such thing.
    }
    let held = current(&opened, "hourly-token").await;
    assert!(!held.enabled);
    assert!(held.value.is_none(), "no reader gets it");
    // A delivery makes it readable again.
    let next = parcel("value-1", 1);
    write(&opened, "hourly-token", &next).await;
    assert_holds(&current(&opened, "hourly-token").await, &next);
}

/// Names that begin alike, or look like what a target may write beside a secret, don't touch.
pub async fn names_are_held_apart(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let names = ["a", "a-", "-a", "a-a", "aa", "a1", "1a", "vestal", "a-vestal", "a-vestal-json", "json", "0"];
    for (name, generation) in names.iter().zip(1..) {
        opened.target().admits(name).expect("it is letters, digits and hyphens");
        write(&opened, name, &parcel(&format!("of {name}"), generation)).await;
    }
    for (name, generation) in names.iter().zip(1..) {
        assert_holds(&current(&opened, name).await, &parcel(&format!("of {name}"), generation));
    }
}

/// As the opener says that the target does.
pub async fn names_compare_by_case_or_not(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    write(&opened, "Hourly-Token", &parcel("value-1", 1)).await;
    let other_case = read(&opened, "hourly-TOKEN").await;
    assert_eq!(other_case.is_some(), opened.folds_case());
    write(&opened, "hourly-TOKEN", &parcel("value-2", 2)).await;
    let first = current(&opened, "Hourly-Token").await;
    assert_eq!(text(&first), if opened.folds_case() { "value-2" } else { "value-1" });
}

/// The longest name of a secret at home fits there too.
pub async fn the_longest_name_is_held(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let name = "n".repeat(127);
    opened.target().admits(&name).expect("127 characters are a secret's name");
    let parcel = parcel("value-1", 1);
    write(&opened, &name, &parcel).await;
    assert_holds(&current(&opened, &name).await, &parcel);
}

/// `admits` says the rule, and a write that didn't ask is refused as well.
pub async fn an_unfit_name_is_refused_with_words(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let names = opened.unfit_names();
    assert!(!names.is_empty(), "the opener knows at least one");
    for name in names {
        let words = opened.target().admits(&name).expect_err("it is unfit");
        assert!(words.len() > 10, "{name:?}: {words:?} says nothing");
        let refused = opened.target().write(&name, &parcel("value-1", 1)).await.expect_err("it is unfit");
        assert_eq!(refused.kind, TargetErrorKind::Unfit, "{name:?}: {refused}");
        assert!(!refused.words.is_empty());
    }
}

/// What the home vault holds fits there too.
pub async fn the_largest_value_is_held(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let value: String = (b'!'..=b'~').map(char::from).cycle().take(LARGEST_VALUE_BYTES).collect();
    let parcel = parcel(&value, 1);
    write(&opened, "large-token", &parcel).await;
    assert_holds(&current(&opened, "large-token").await, &parcel);
}

/// The version that was there stays current.
pub async fn a_larger_value_is_refused_and_changes_nothing(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let first = parcel("value-1", 1);
    write(&opened, "large-token", &first).await;
    let larger = parcel(&"v".repeat(LARGEST_VALUE_BYTES + 1), 2);
    let refused = opened.target().write("large-token", &larger).await.expect_err("it is too large");
    assert_eq!(refused.kind, TargetErrorKind::Unfit, "{refused}");
    assert_holds(&current(&opened, "large-token").await, &first);
}

/// Nothing is added, trimmed, normalised or escaped.
pub async fn values_come_back_byte_for_byte(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let values = [
        "a line\n",
        "\n",
        " blanks around \t",
        "two\r\nlines\r",
        "\u{feff}a mark at the start",
        "control \u{1}\u{7}\u{1b}[31m\u{7f}\u{80}",
        "quotes \" ' ` \\ \\n \\u0041 %41 &amp; </script>",
        "{\"access_token\":\"x\"}",
        "Zürich, 東京, \u{1f511}, e\u{301} is not \u{e9}",
        "\u{2028}\u{2029}\u{200b}\u{fffd}\u{10ffff}",
        "x",
    ];
    for (value, generation) in values.iter().zip(1..) {
        let parcel = parcel(value, generation);
        write(&opened, "odd-token", &parcel).await;
        assert_holds(&current(&opened, "odd-token").await, &parcel);
    }
}

/// No write takes a piece of another's.
pub async fn writes_of_many_names_at_once_are_each_whole(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let pieces: Vec<_> =
        (1..=8).map(|n| (format!("token-{n}"), parcel(&format!("value-{n}-").repeat(100), n))).collect();
    let answers = all(pieces.iter().map(|(name, parcel)| opened.target().write(name, parcel))).await;
    for ((name, parcel), version) in pieces.iter().zip(answers) {
        let held = current(&opened, name).await;
        assert_holds(&held, parcel);
        assert_eq!(Ok(held.version), version);
    }
}

/// Neither its words nor its debug output.
pub async fn an_error_tells_no_value(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let large = parcel(&CANARY.repeat(LARGEST_VALUE_BYTES / CANARY.len() + 1), 1);
    let small = parcel(CANARY, 1);
    let mut errors = Vec::new();
    errors.extend(opened.target().write("large-token", &large).await.err());
    for name in opened.unfit_names() {
        errors.extend(opened.target().write(&name, &small).await.err());
        errors.extend(opened.target().read(&name).await.err());
    }
    assert!(!errors.is_empty());
    for error in errors {
        assert!(!format!("{error} {error:?}").contains(CANARY), "an error tells the value");
    }
}

/// A pace of nothing would hold deliveries up for ever.
pub async fn its_pace_lets_deliveries_begin(opener: &impl TargetOpener) {
    let opened = opener.fresh().await;
    let pace = opened.target().pace();
    assert!(pace.burst > 0 && pace.flights > 0, "{pace:?}");
}

/// A generation of the token with this value.
fn parcel(value: &str, generation: u64) -> Parcel {
    Parcel {
        value: Secret::copy_of(value.as_bytes()),
        expires: Some(END),
        mark: Mark { token: "0123456789abcdef0123456789abcdef".to_owned(), generation },
        provider: "hourly".to_owned(),
        renewed_at: 1_800_000_000,
    }
}

async fn write(opened: &impl OpenedTarget, name: &str, parcel: &Parcel) -> String {
    opened.target().write(name, parcel).await.unwrap_or_else(|error| panic!("{name} is refused: {error}"))
}

async fn read(opened: &impl OpenedTarget, name: &str) -> Option<Held> {
    opened.target().read(name).await.unwrap_or_else(|error| panic!("{name} can't be read: {error}"))
}

async fn current(opened: &impl OpenedTarget, name: &str) -> Held {
    read(opened, name).await.unwrap_or_else(|| panic!("{name} isn't there"))
}

fn assert_holds(held: &Held, parcel: &Parcel) {
    let value = held.value.as_ref().expect("it gives the value out");
    assert!(value.equals(&parcel.value), "{:?} is not {:?}", value.expose_str(), parcel.value.expose_str());
    assert!(held.enabled, "it is enabled");
    assert_eq!(held.expires, parcel.expires);
    assert_eq!(held.mark.as_ref(), Some(&parcel.mark));
}

fn text(held: &Held) -> &str {
    held.value.as_ref().and_then(Secret::expose_str).expect("it gives the value out")
}

#[cfg(test)]
mod tests {
    /// A check that the macro forgets would run nowhere.
    #[test]
    fn every_check_is_in_the_macro() {
        let source = include_str!("target.rs");
        let (listed, checks) = source.split_once("\npub async fn ").expect("there are checks");
        let checks =
            checks.split("\npub async fn ").filter_map(|rest| rest.split_once("(opener: &impl TargetOpener) {"));
        let mut seen = 0;
        for (check, _) in checks {
            assert!(listed.contains(&format!("            {check}\n")), "{check} is missing in target_contract!");
            seen += 1;
        }
        assert!(seen > 15, "only {seen} checks were found");
    }
}
