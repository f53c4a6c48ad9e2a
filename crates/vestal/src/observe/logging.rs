//! The log: lines on stderr, for people or as JSON.
//!
//! HTTP and database libraries print headers, bodies and parameters at their finest levels, and those hold secrets. So
//! whoever is not one of our own crates is heard down to `info` and no further, and no variable lifts that.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, ParseError, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry;

/// The variables that say what is logged, in the form of `tracing`'s `EnvFilter`: `debug`, `vestal::alert=trace,info`. The
/// first that is set counts; without one it is `info`, with `warn` for libraries that tell of each call.
pub const VARIABLES: [&str; 2] = ["VESTAL_LOG", "RUST_LOG"];

/// Our own crates, by the names that their lines have.
const OURS: [&str; 11] =
    ["delivery", "flow", "keeper", "keyvault", "oauth", "renewal", "secret", "store", "store_sql", "vault", "vestal"];

/// Libraries that tell at `info` what is ours to tell.
const LIBRARIES: [&str; 3] = ["azure_core", "azure_identity", "typespec_client_core"];

/// The target of the lines that tell of single attempts, for filters.
pub(super) const ATTEMPTS: &str = "vestal::attempts";

/// Writes the log to stderr from now on: each line as a JSON object, or as text, in colour or not. Call it once, first
/// thing; a second call changes nothing. Without a wish in the environment
/// the filter is `default`.
pub fn init(json: bool, color: bool, default: &str) {
    let wish = VARIABLES.iter().find_map(|name| {
        let text = std::env::var(name).ok().filter(|text| !text.trim().is_empty())?;
        Some((*name, text))
    });
    let (filter, complaint) = match filter(&wish.as_ref().map_or_else(|| usual(default), |(_, text)| text.clone())) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let verbose = wish.is_some();
    if tracing::subscriber::set_global_default(subscriber(json, color, verbose, filter, io::stderr)).is_err() {
        return;
    }
    if let (Some(error), Some((name, _))) = (complaint, wish) {
        tracing::warn!("{name} is no log filter ({error}), so info is logged; write `debug`, or `vestal=debug,info`");
    }
}

fn filter(wish: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(wish)
}

/// The filter where nobody has a wish: `own` for our crates, and less for the libraries below, which tell of every call that
/// failed. Vestal tells of those by itself, and not each time.
fn usual(own: &str) -> String {
    format!("{own},{}", LIBRARIES.map(|name| format!("{name}=warn")).join(","))
}

fn subscriber<W>(json: bool, color: bool, verbose: bool, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let cap = filter_fn(|metadata| *metadata.level() <= Level::INFO || is_ours(metadata.target()))
        .with_max_level_hint(LevelFilter::TRACE);
    let lines = fmt::layer().with_writer(writer).with_ansi(color);
    let lines = if json {
        lines.json().flatten_event(true).boxed()
    } else {
        // Where a line comes from matters to whoever asked for more than the usual ones.
        lines.with_target(verbose).boxed()
    };
    registry().with(lines.with_filter(filter.and(cap)))
}

fn is_ours(target: &str) -> bool {
    let crate_name = target.split("::").next().unwrap_or_default();
    OURS.contains(&crate_name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("the lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written under this wish when a library and one of ours speak at each level.
    fn written(wish: &str, json: bool) -> String {
        let page = Page::default();
        let writer = page.clone();
        let filter = filter(wish).expect("a filter");
        tracing::subscriber::with_default(subscriber(json, false, true, filter, move || writer.clone()), || {
            macro_rules! speak {
                ($($target:literal),+) => {$(
                    tracing::trace!(target: $target, "{} whispers", $target);
                    tracing::debug!(target: $target, "{} mumbles", $target);
                    tracing::info!(target: $target, "{} speaks", $target);
                    tracing::error!(target: $target, "{} shouts", $target);
                    tracing::trace_span!(target: $target, "within", header = "MARKED-header").in_scope(|| {
                        tracing::info!(target: $target, "{} speaks in a span", $target);
                    });
                )+};
            }
            speak!(
                "hyper::proto::h1::io",
                "h2",
                "rustls::client",
                "tokio::task",
                "rusqlite",
                "vestals",
                "vestal::listener",
                "keeper"
            );
        });
        String::from_utf8(page.0.lock().expect("the lock").clone()).expect("text")
    }

    #[test]
    fn no_filter_lifts_the_cap_on_libraries() {
        for wish in [
            "trace",
            "hyper=trace,h2=trace,rustls=trace,tokio=trace,rusqlite=trace,vestals=trace,trace",
            "hyper[within]=trace",
        ] {
            let page = written(wish, false);
            for library in ["hyper::proto::h1::io", "h2", "rustls::client", "tokio::task", "rusqlite", "vestals"] {
                for word in ["whispers", "mumbles"] {
                    assert!(!page.contains(&format!("{library} {word}")), "{wish}: {page}");
                }
                if wish.contains(",") || wish == "trace" {
                    assert!(page.contains(&format!("{library} speaks\n")), "{wish}: {page}");
                    let of_library = |line: &&str| line.contains(&format!("{library} speaks in a span"));
                    assert!(page.lines().filter(of_library).all(|line| !line.contains("MARKED")), "{page}");
                }
            }
        }
        let page = written("trace", false);
        for ours in ["vestal::listener", "keeper"] {
            assert!(page.contains(&format!("{ours} whispers")), "{page}");
        }
    }

    #[test]
    fn without_a_wish_everybody_is_heard_from_info_on() {
        let page = written("", false);
        for speaker in ["h2", "vestal::listener"] {
            assert!(page.contains(&format!("{speaker} speaks")) && page.contains(&format!("{speaker} shouts")));
            assert!(!page.contains(&format!("{speaker} mumbles")));
        }
    }

    #[test]
    fn without_a_wish_the_client_of_azure_tells_no_single_calls() {
        let page = Page::default();
        let writer = page.clone();
        let filter = filter(&usual("info")).expect("a filter");
        tracing::subscriber::with_default(subscriber(false, false, true, filter, move || writer.clone()), || {
            tracing::info!(target: "typespec_client_core::http", "a call failed");
            tracing::warn!(target: "azure_core::http", "a warning");
            tracing::info!(target: "vestal::engine", "a line of ours");
        });
        let page = String::from_utf8(page.0.lock().expect("the lock").clone()).expect("text");
        assert!(
            !page.contains("a call failed") && page.contains("a warning") && page.contains("a line of ours"),
            "{page}"
        );
    }

    #[test]
    fn lines_of_json_are_objects_with_their_message() {
        let page = written("vestal=debug", true);
        let lines: Vec<serde_json::Value> =
            page.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let mumble = lines.iter().find(|line| line["message"] == "vestal::listener mumbles").expect("the line");
        assert_eq!((&mumble["level"], &mumble["target"]), (&"DEBUG".into(), &"vestal::listener".into()));
    }

    #[test]
    fn our_own_crates_are_all_listed() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of all crates");
        let mut found: Vec<String> = std::fs::read_dir(crates)
            .expect("the folder can be read")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace('-', "_"))
            // It measures, and is not part of the program.
            .filter(|name| name != "bench")
            .collect();
        found.sort();
        assert_eq!(found, OURS);
    }
}
