//! The Vestal that delivers is killed in each step of a delivery, and started again.

use rustix::process::Signal;

use super::Stage;
use super::proxy::{Fault, Seen};

/// Kills it while such a request is under way, after one generation was delivered, and looks at what comes of it.
fn killed_in(fault: Fault, step: impl Fn(&Seen) -> bool + Send + 'static) {
    let stage = Stage::set(600, ", disable_superseded = true");
    let mut serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    stage.proxy.rule(1, fault, step);
    stage.renew();
    stage.proxy.until_held();
    serve.signal(Signal::KILL);
    serve.ended();
    stage.proxy.calm();

    let _serve = stage.serve();
    let held = stage.until_delivered();
    assert_eq!(held.len(), 2, "{held:?}");
    crate::process::until("the superseded version is disabled", || {
        (stage.held().iter().map(|(_, enabled)| *enabled).collect::<Vec<_>>() == [false, true]).then_some(())
    });
    stage.renew();
    stage.until_delivered();
}

#[test]
fn killed_while_it_looks_what_is_there() {
    killed_in(Fault::Hold, |seen| seen.is_delivery("GET"));
}

#[test]
fn killed_before_its_write_arrives() {
    killed_in(Fault::Hold, |seen| seen.is_delivery("PUT"));
}

#[test]
fn killed_after_its_write_and_before_the_answer() {
    killed_in(Fault::HoldAfterwards, |seen| seen.is_delivery("PUT"));
}

#[test]
fn killed_while_it_reads_back_what_it_wrote() {
    let written = std::sync::atomic::AtomicBool::new(false);
    killed_in(Fault::Hold, move |seen| {
        if seen.is_delivery("PUT") {
            written.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        seen.is_delivery("GET") && written.load(std::sync::atomic::Ordering::SeqCst)
    });
}

#[test]
fn killed_while_it_disables_what_it_superseded() {
    killed_in(Fault::Hold, |seen| seen.is_delivery("PATCH"));
}

#[test]
fn killed_after_it_has_disabled_what_it_superseded() {
    killed_in(Fault::HoldAfterwards, |seen| seen.is_delivery("PATCH"));
}

#[test]
fn killed_while_it_signs_in() {
    let stage = Stage::set(600, "");
    stage.proxy.rule(1, Fault::Hold, Seen::is_sign_in);
    let mut serve = stage.serve();
    stage.give_credentials();
    stage.proxy.until_held();
    serve.signal(Signal::KILL);
    serve.ended();
    stage.proxy.calm();
    let _serve = stage.serve();
    assert_eq!(stage.until_delivered().len(), 1);
}
