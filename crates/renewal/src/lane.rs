//! All tokens of one (token host, client): what may go out to it, and when.
//!
//! A permit comes before a claim. Four things can hold a lane: its token bucket, its flights, its breaker (the
//! provider is down) and its pause (the provider refuses the client). The lane keeps its own timeline, fed from the
//! [`Moment`]s it is given and never going back, so no wall clock can freeze it.
//!
//! The stored part ([`LaneRecord`]) holds waits, not instants, each bounded by its limit: whatever happens to the clocks
//! across a restart, a lane opens again. The bucket isn't stored. A lane starts with an empty one, so that what an earlier
//! process took counts (`burst + rate × window` holds over a restart storm); the first permit comes one interval later.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::permit::{Change, Closed, ClosedBy, Gate, Need, Permit, Verdict};
use crate::time::{Moment, Wall, millis};

/// What a lane may do. Zero counts and lengths are read as the least that works (1, 1 ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// The bucket gains a permit this often: 100 ms, ten a second.
    pub interval: Duration,
    /// The most permits that the bucket holds: 20.
    pub burst: u32,
    /// The most permits out at one time: 8.
    pub flights: u32,
    /// Failures in a row that open the breaker: 5.
    pub failures_in_a_row: u32,
    /// The number of last results of which half failing opens the breaker: 10.
    pub results: u32,
    /// How old those results may be: 30 s.
    pub results_within: Duration,
    /// How long the breaker opens at first: 5 s. Doubles with each probe that fails.
    pub breaker_first: Duration,
    /// How long it opens at the most: 30 s.
    pub breaker_longest: Duration,
    /// How long the lane holds when it is told to slow down and not for how long: 1 s. Doubles with each time it is told
    /// so again, up to `breaker_longest`.
    pub throttle_first: Duration,
    /// How long it holds at the most, whatever was asked: 30 s.
    pub throttle_longest: Duration,
    /// After how long the first attempt goes through while the client is refused: 15 min. Doubles with each that is
    /// refused too.
    pub pause_first: Duration,
    /// How long it takes between two of them at the most: 15 min.
    pub pause_longest: Duration,
    /// When a permit that nobody gave back counts as lost: 5 min, ten deadlines of an exchange.
    pub permit_lost_after: Duration,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            burst: 20,
            flights: 8,
            failures_in_a_row: 5,
            results: 10,
            results_within: Duration::from_secs(30),
            breaker_first: Duration::from_secs(5),
            breaker_longest: Duration::from_secs(30),
            throttle_first: Duration::from_secs(1),
            throttle_longest: Duration::from_secs(30),
            pause_first: Duration::from_secs(15 * 60),
            pause_longest: Duration::from_secs(15 * 60),
            permit_lost_after: Duration::from_secs(300),
        }
    }
}

/// What the store keeps of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LaneRecord {
    /// When it was taken; the waits count from here.
    pub at: Moment,
    /// Failures in a row.
    pub failures: u32,
    /// How long the lane still holds because of throttling, in milliseconds.
    pub throttle_ms: u64,
    /// The breaker, if it is open.
    pub breaker: Option<BreakerRecord>,
    /// How long until the next probe of a pause, in milliseconds, if the lane is paused.
    pub pause_ms: Option<u64>,
}

/// An open breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BreakerRecord {
    /// How long until its next probe, in milliseconds.
    pub open_ms: u64,
    /// How many probes have failed.
    pub step: u32,
}

/// The pace of one lane.
#[derive(Debug, Clone)]
pub struct Lane {
    limits: LaneLimits,
    /// The last moment seen, and the lane's own milliseconds at it.
    last: Moment,
    time: u64,
    /// The bucket, in milliseconds of refill; a permit costs one interval.
    credit: u64,
    next_permit: u64,
    /// Permits out, by number, with the time each was given.
    flights: BTreeMap<u64, u64>,
    failures: u32,
    /// The last results: when, and whether it failed.
    results: VecDeque<(u64, bool)>,
    throttled_until: u64,
    /// How often in a row it was told to slow down, each time after it had waited.
    throttles: u32,
    breaker: Option<Breaker>,
    pause: Option<Pause>,
}

/// An open breaker; there is none while the lane works.
#[derive(Debug, Clone, Copy)]
struct Breaker {
    until: u64,
    step: u32,
    probe: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    probe_at: u64,
    step: u32,
    probe: Option<u64>,
}

impl Lane {
    /// A lane that nothing holds, with an empty bucket.
    #[must_use]
    pub fn new(limits: LaneLimits, now: Moment) -> Self {
        Self {
            limits,
            last: now,
            time: 0,
            credit: 0,
            next_permit: 0,
            flights: BTreeMap::new(),
            failures: 0,
            results: VecDeque::new(),
            throttled_until: 0,
            throttles: 0,
            breaker: None,
            pause: None,
        }
    }

    /// A lane as stored. What was in flight is forgotten; the bucket is empty; each wait is what was left of it when it was
    /// stored, less the time since, and never more than the limits allow.
    #[must_use]
    pub fn restore(limits: LaneLimits, record: &LaneRecord, now: Moment) -> Self {
        let passed = ms(now.since(record.at));
        let left = |wait: u64, most: Duration| wait.min(ms(most)).saturating_sub(passed);
        Self {
            failures: record.failures,
            throttled_until: left(record.throttle_ms, limits.throttle_longest),
            breaker: record.breaker.map(|breaker| Breaker {
                until: left(breaker.open_ms, limits.breaker_longest),
                step: breaker.step,
                probe: None,
            }),
            pause: record.pause_ms.map(|wait| Pause {
                probe_at: left(wait, limits.pause_longest),
                step: 0,
                probe: None,
            }),
            ..Self::new(limits, now)
        }
    }

    /// What is to be stored of the lane.
    #[must_use]
    pub fn record(&self, now: Moment) -> LaneRecord {
        let time = self.time_at(now);
        LaneRecord {
            at: now,
            failures: self.failures,
            throttle_ms: self.throttled_until.saturating_sub(time),
            breaker: self
                .breaker
                .map(|breaker| BreakerRecord { open_ms: breaker.until.saturating_sub(time), step: breaker.step }),
            pause_ms: self.pause.map(|pause| pause.probe_at.saturating_sub(time)),
        }
    }

    /// How many permits could be had now, for tokens that are due.
    pub fn gate(&mut self, now: Moment) -> Gate {
        self.advance(now);
        match self.closed(now, Need::Due) {
            Some(closed) => Gate::Closed(closed),
            None if self.breaker.is_some() || self.pause.is_some() => Gate::Probe,
            None => Gate::Open(self.free_flights().min(self.filled())),
        }
    }

    /// Asks for a permit. While a breaker or a pause is due for its probe, the first to ask gets it.
    ///
    /// # Errors
    /// [`Closed`]: what holds the lane, and when to ask again.
    pub fn permit(&mut self, now: Moment, need: Need) -> Result<Permit, Closed> {
        self.advance(now);
        if let Some(closed) = self.closed(now, need) {
            return Err(closed);
        }
        let number = self.next_permit;
        self.next_permit += 1;
        self.credit -= self.interval();
        self.flights.insert(number, self.time);
        if let Some(breaker) = &mut self.breaker {
            breaker.probe = Some(number);
        }
        if let Some(pause) = &mut self.pause
            && pause.probe.is_none()
            && need == Need::Due
        {
            pause.probe = Some(number);
        }
        Ok(Permit { number, probe: self.breaker.is_some() })
    }

    /// Takes a permit back, with what came of it. One that counts as lost by now changes nothing.
    pub fn returned(&mut self, permit: Permit, now: Moment, verdict: Verdict) -> Change {
        self.advance(now);
        let number = permit.number;
        let Some(given) = self.flights.remove(&number) else {
            return Change::Nothing;
        };
        match verdict {
            Verdict::Success => {
                self.note(false);
                if given >= self.throttled_until {
                    self.throttles = 0;
                }
                self.works()
            }
            Verdict::Answered => {
                self.note(false);
                let change = self.answered();
                self.put_off_pause_probe(number);
                change
            }
            Verdict::Failed => self.failed(number),
            Verdict::Throttled(asked) => {
                self.hold(given, asked);
                self.failed(number)
            }
            Verdict::ClientRefused => {
                self.note(false);
                self.answered();
                if self.pause.is_none() {
                    self.pause = Some(Pause { probe_at: self.pause_until(0), step: 0, probe: None });
                }
                self.put_off_pause_probe(number);
                let pause = self.pause.map_or(self.time, |pause| pause.probe_at);
                Change::Paused(self.wall(pause))
            }
            Verdict::Unused => {
                // Nothing goes back into the bucket: it may have filled up meanwhile, and would give more than it holds.
                self.free_probe(number);
                Change::Nothing
            }
        }
    }

    /// Whoever asks without a permit was told to slow down, and for how long if that was said.
    pub fn throttle(&mut self, now: Moment, asked: Option<Duration>) {
        self.advance(now);
        self.hold(self.time, asked);
    }

    /// Until when the lane holds since it was told to slow down; in the past where it doesn't.
    #[must_use]
    pub fn throttled_until(&self, now: Moment) -> Wall {
        now.wall.plus(Duration::from_millis(self.throttled_until.saturating_sub(self.time_at(now))))
    }

    /// Ends whatever holds the lane but its bucket and its flights: a new version of the client secret, the network coming
    /// back, a change of configuration, or a person.
    pub fn reopen(&mut self, now: Moment) -> Change {
        self.advance(now);
        let throttled = self.throttled_until > self.time;
        (self.throttled_until, self.throttles) = (0, 0);
        if self.works() == Change::Recovered || throttled { Change::Recovered } else { Change::Nothing }
    }

    /// The earliest time at which breaker, pause and throttling let a permit through: the column that the store's queue
    /// reads. In the past where nothing holds the lane. Bucket and flights, which change all the time, don't count.
    #[must_use]
    pub fn open_at(&self, now: Moment) -> Wall {
        let mut opens = self.throttled_until;
        if let Some(breaker) = self.breaker {
            opens = opens.max(breaker.until);
        }
        if let Some(pause) = self.pause {
            opens = opens.max(pause.probe_at);
        }
        let left = opens.saturating_sub(self.time_at(now));
        now.wall.plus(Duration::from_millis(left))
    }

    /// Over how long `tokens` waiting ones are to be spread when the lane recovers: as long as the bucket takes to let
    /// them all through.
    #[must_use]
    pub fn spread(&self, tokens: u32) -> Duration {
        self.limits.interval.saturating_mul(tokens)
    }

    /// How many permits are out.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights.len()
    }

    /// Moves the lane's time on, fills the bucket, and forgets permits that count as lost.
    fn advance(&mut self, now: Moment) {
        let time = self.time_at(now);
        self.credit = self.credit.saturating_add(time - self.time).min(self.full());
        self.time = time;
        self.last = now;
        let lost_after = ms(self.limits.permit_lost_after);
        let mut lost = Vec::new();
        self.flights.retain(|number, given| {
            let keep = time.saturating_sub(*given) < lost_after;
            if !keep {
                lost.push(*number);
            }
            keep
        });
        for number in lost {
            self.free_probe(number);
        }
    }

    fn time_at(&self, now: Moment) -> u64 {
        self.time.saturating_add(ms(now.since(self.last)))
    }

    /// The instant `time` of the lane's timeline by the wall clock of the last moment seen.
    fn wall(&self, time: u64) -> Wall {
        self.last.wall.plus(Duration::from_millis(time.saturating_sub(self.time)))
    }

    /// What holds the lane the longest, if anything does.
    fn closed(&self, now: Moment, need: Need) -> Option<Closed> {
        let soon = self.time.saturating_add(1000);
        let mut holds = vec![(ClosedBy::Throttle, self.throttled_until)];
        holds.push((ClosedBy::Bucket, self.time + self.interval().saturating_sub(self.credit)));
        if self.free_flights() == 0 {
            holds.push((ClosedBy::Flights, soon));
        }
        if let Some(breaker) = self.breaker {
            holds.push((ClosedBy::Breaker, breaker.until));
            if breaker.probe.is_some() {
                holds.push((ClosedBy::Probe, soon));
            }
        }
        if let (Some(pause), Need::Due) = (self.pause, need) {
            holds.push((ClosedBy::Pause, pause.probe_at));
            if pause.probe.is_some() {
                holds.push((ClosedBy::Probe, soon));
            }
        }
        let (by, until) = holds.into_iter().filter(|(_, until)| *until > self.time).max_by_key(|(_, until)| *until)?;
        Some(Closed { by, opens: now.wall.plus(Duration::from_millis(until - self.time)) })
    }

    fn failed(&mut self, number: u64) -> Change {
        self.note(true);
        self.failures = self.failures.saturating_add(1);
        self.put_off_pause_probe(number);
        match self.breaker {
            Some(breaker) if breaker.probe == Some(number) => self.open(breaker.step.saturating_add(1)),
            Some(_) => Change::Nothing,
            None if self.trips() => self.open(0),
            None => Change::Nothing,
        }
    }

    fn trips(&self) -> bool {
        let enough = self.limits.results.max(1) as usize;
        let oldest = self.time.saturating_sub(ms(self.limits.results_within));
        let recent = self.results.iter().filter(|(at, _)| *at >= oldest);
        let (count, failed) = recent
            .fold((0_usize, 0_usize), |(count, failures), (_, failed)| (count + 1, failures + usize::from(*failed)));
        self.failures >= self.limits.failures_in_a_row.max(1) || (count >= enough && failed * 2 >= count)
    }

    fn open(&mut self, step: u32) -> Change {
        let longest = ms(self.limits.breaker_longest);
        let until = self.time.saturating_add(doubled(self.limits.breaker_first, step).min(longest).max(1));
        self.breaker = Some(Breaker { until, step, probe: None });
        Change::Opened(self.wall(until))
    }

    /// It gave what was asked for: nothing holds the lane but the time that it asked for, which others wait for too.
    fn works(&mut self) -> Change {
        let held = self.breaker.is_some() || self.pause.is_some();
        self.breaker = None;
        self.pause = None;
        self.failures = 0;
        if held {
            self.results.clear();
            Change::Recovered
        } else {
            Change::Nothing
        }
    }

    /// It is to slow down. What was on the way while it was told so already makes the wait no longer than it asks itself.
    fn hold(&mut self, given: u64, asked: Option<Duration>) {
        let again = given >= self.throttled_until;
        let step = self.throttles.saturating_sub(u32::from(!again));
        let by_itself = doubled(self.limits.throttle_first, step).min(ms(self.limits.breaker_longest));
        let hold = asked.map_or(by_itself, ms).min(ms(self.limits.throttle_longest));
        self.throttled_until = self.throttled_until.max(self.time.saturating_add(hold));
        self.throttles = self.throttles.saturating_add(u32::from(again));
    }

    /// The provider is up: no breaker. The pause is another matter.
    fn answered(&mut self) -> Change {
        self.failures = 0;
        if self.breaker.take().is_none() {
            return Change::Nothing;
        }
        self.results.clear();
        if self.pause.is_some() { Change::Nothing } else { Change::Recovered }
    }

    fn note(&mut self, failed: bool) {
        self.results.push_back((self.time, failed));
        while self.results.len() > self.limits.results.max(1) as usize {
            self.results.pop_front();
        }
    }

    /// After the probe of a pause, the next one is a whole wait away.
    fn put_off_pause_probe(&mut self, number: u64) {
        if let Some(pause) = self.pause
            && pause.probe == Some(number)
        {
            let step = pause.step.saturating_add(1);
            self.pause = Some(Pause { probe_at: self.pause_until(step), step, probe: None });
        }
    }

    fn pause_until(&self, step: u32) -> u64 {
        self.time.saturating_add(doubled(self.limits.pause_first, step).min(ms(self.limits.pause_longest)))
    }

    /// A probe that came to nothing leaves its place to another.
    fn free_probe(&mut self, number: u64) {
        if let Some(breaker) = &mut self.breaker {
            breaker.probe = breaker.probe.filter(|probe| *probe != number);
        }
        if let Some(pause) = &mut self.pause {
            pause.probe = pause.probe.filter(|probe| *probe != number);
        }
    }

    fn free_flights(&self) -> u32 {
        let out = u32::try_from(self.flights.len()).unwrap_or(u32::MAX);
        self.limits.flights.max(1).saturating_sub(out)
    }

    fn filled(&self) -> u32 {
        u32::try_from(self.credit / self.interval()).unwrap_or(u32::MAX)
    }

    fn interval(&self) -> u64 {
        ms(self.limits.interval).max(1)
    }

    fn full(&self) -> u64 {
        self.interval().saturating_mul(u64::from(self.limits.burst.max(1)))
    }
}

/// A length that was doubled so often, in milliseconds, saturating.
fn doubled(first: Duration, step: u32) -> u64 {
    ms(first).saturating_mul(1_u64.checked_shl(step).unwrap_or(u64::MAX))
}

/// A length in milliseconds, saturating.
fn ms(span: Duration) -> u64 {
    millis(span).unsigned_abs()
}
