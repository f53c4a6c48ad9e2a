//! The few styles there are. Wherever a style says something, a word beside it says the same.

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};

/// No style.
pub(super) const PLAIN: Style = Style::new();
/// Headers of tables.
pub(super) const HEADER: Style = Style::new().bold();
/// What a person looks for first.
pub(super) const STRONG: Style = Style::new().bold();
/// What stands aside.
pub(super) const FAINT: Style = Style::new().dimmed();
/// All is well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// On its way.
pub(super) const MOVING: Style = AnsiColor::Cyan.on_default();
/// Worth a look.
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Needs somebody.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// The style of a token's state, by its word.
pub(super) fn of_state(state: &str) -> Style {
    match state {
        "fresh" => GOOD,
        "due" => MOVING,
        "retrying" | "expiring" => WARNING,
        "expired" | "needs consent" => BAD,
        "paused" => FAINT,
        _ => PLAIN,
    }
}

/// How the help looks.
pub(super) const HELP: Styles = Styles::styled()
    .header(HEADER.underline())
    .usage(HEADER.underline())
    .literal(MOVING.bold())
    .placeholder(MOVING)
    .error(BAD)
    .valid(GOOD)
    .invalid(WARNING);

/// The text in the style.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
