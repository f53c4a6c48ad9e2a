//! Which tokens are due, and when the next one is.

use std::collections::BTreeMap;

use renewal::Wall;

use super::Opener;
use super::facts::Facts as _;
use super::sample::{claim, insert, lane, name, replace, sealed, token, token_id, vault};
use crate::rows::TokenRow;
use crate::{Store, Write};

/// The token with the least life left goes first; one that never had a value has expiry 0.
pub async fn due_tokens_come_earliest_expiry_first_within_their_lane(opener: &impl Opener) {
    let store = opener.fresh().await;
    let expiries = [50, 10, Wall::NEVER.0, 0, 30];
    let rows = (0..).zip(expiries).map(|(number, expiry)| TokenRow { expiry: Wall(expiry), ..token(number) });
    store.commit(rows.map(insert).collect()).await.expect("the store is empty");
    let due = store.due(Wall(0), 9).await.expect("a read");
    let order: Vec<i64> = due.iter().map(|row| row.expiry.0).collect();
    assert_eq!(order, [0, 10, 30, 50, Wall::NEVER.0]);
}

/// A provider with many due tokens takes no place from one with few.
pub async fn each_lane_gives_no_more_than_asked_for(opener: &impl Opener) {
    let store = opener.fresh().await;
    let of_lane = |lane: &str, numbers: std::ops::Range<u64>| {
        let rows = numbers.map(|number| {
            let expiry = Wall(i64::try_from(number).expect("it is small"));
            TokenRow { lane: lane.to_owned(), expiry, ..token(number) }
        });
        rows.map(insert).collect::<Vec<_>>()
    };
    store.commit(of_lane("many", 0..40)).await.expect("the store is empty");
    store.commit(of_lane("few", 40..42)).await.expect("the tokens are new");
    store.commit(of_lane("one", 42..43)).await.expect("the tokens are new");
    for (per_lane, expected) in [(1, [1, 1, 1]), (3, [3, 2, 1]), (100, [40, 2, 1])] {
        let due = by_lane(store.due(Wall(0), per_lane).await.expect("a read"));
        let given = ["many", "few", "one"].map(|lane| due[lane].len());
        assert_eq!(given, expected, "{per_lane} a lane");
        assert!(due["many"].iter().map(|row| row.id).eq((0..).map(token_id).take(expected[0])), "earliest first");
    }
    assert!(store.due(Wall(0), 0).await.expect("a read").is_empty());
}

/// Only what is due is given, were all others to die sooner.
pub async fn a_few_due_tokens_are_found_among_many(opener: &impl Opener) {
    const MANY: u64 = 1_500;
    let store = opener.fresh().await;
    let waiting = (0..MANY).map(|number| insert(TokenRow { due: Wall(1_000), expiry: Wall(1), ..token(number) }));
    store.commit(waiting.collect()).await.expect("the store is empty");
    for (number, due) in [(MANY, 7), (MANY + 1, 3), (MANY + 2, 5)] {
        let row = TokenRow { due: Wall(due), expiry: Wall(2), ..token(number) };
        store.commit(vec![insert(row)]).await.expect("the token is new");
    }
    for (now, expected) in [(2, 0), (3, 1), (6, 2), (999, 3)] {
        let due = store.due(Wall(now), 9).await.expect("a read");
        assert_eq!(due.len(), expected, "at {now}");
        assert!(due.iter().all(|row| row.expiry == Wall(2)), "at {now}");
    }
    assert_eq!(store.due(Wall(1_000), 9_999).await.expect("a read").len(), 1_503);
}

/// Of many due tokens those come that die first, whatever the order in which they became due.
pub async fn many_due_tokens_give_those_with_the_earliest_expiry(opener: &impl Opener) {
    const MANY: i64 = 1_500;
    let store = opener.fresh().await;
    // 7 and 1,500 have no common factor, so each expiry occurs once. Every tenth isn't due yet.
    let rows: Vec<TokenRow> = (0..MANY)
        .map(|number| {
            let due = if number % 10 == 0 { Wall(5_000) } else { Wall(MANY - number) };
            TokenRow { due, expiry: Wall(number * 7 % MANY), ..token(number.unsigned_abs()) }
        })
        .collect();
    store.commit(rows.iter().cloned().map(insert).collect()).await.expect("the store is empty");
    let mut expected: Vec<_> = rows.iter().filter(|row| row.due <= Wall(MANY)).collect();
    expected.sort_by_key(|row| row.expiry);
    for per_lane in [1, 8, 400, 2_000] {
        let due = store.due(Wall(MANY), per_lane).await.expect("a read");
        let expected: Vec<_> = expected.iter().take(per_lane).collect();
        assert_eq!(due.facts(), expected.facts(), "{per_lane} a lane");
    }
}

/// A lane without a row is open; one with a row opens at its time; others don't wait for it.
pub async fn a_closed_lane_is_not_due_until_it_opens(opener: &impl Opener) {
    let store = opener.fresh().await;
    let closed = TokenRow { lane: "closed".to_owned(), ..token(1) };
    store.commit(vec![insert(closed), insert(token(2))]).await.expect("the store is empty");
    assert_eq!(store.due(Wall(0), 9).await.expect("a read").len(), 2);
    store.commit(vec![Write::Lane(lane("closed", 100))]).await.expect("the lane is new");
    let due = async |now| by_lane(store.due(Wall(now), 9).await.expect("a read"));
    assert!(due(0).await.keys().eq(["lane"]));
    assert!(due(99).await.keys().eq(["lane"]));
    assert!(due(100).await.keys().eq(["closed", "lane"]));
    store.commit(vec![Write::Lane(lane("closed", 5))]).await.expect("it replaces");
    assert!(due(5).await.keys().eq(["closed", "lane"]));

    // A lane may be known before it has a token.
    store.commit(vec![Write::Lane(lane("early", 50))]).await.expect("the lane is new");
    let early = TokenRow { lane: "early".to_owned(), ..token(3) };
    store.commit(vec![insert(early)]).await.expect("the token is new");
    assert!(due(49).await.keys().eq(["closed", "lane"]));
    assert!(due(50).await.keys().eq(["closed", "early", "lane"]));
}

/// Not even at the last instant that there is.
pub async fn a_paused_token_is_never_due(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(TokenRow { due: Wall::NEVER, ..token(1) })]).await.expect("the store is empty");
    assert!(store.due(Wall::NEVER, 9).await.expect("a read").is_empty());
    assert_eq!(store.next_due(Wall(0)).await, Ok(None));
}

/// While somebody renews it, nobody needs to look at it.
pub async fn a_leased_token_is_not_due(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), insert(token(2))]).await.expect("the store is empty");
    store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    assert_eq!(store.due(Wall(0), 9).await.expect("a read").facts(), vec![token(2)].facts());
    let done = TokenRow { due: Wall(9), sealed: sealed(9), ..token(1) };
    let write = Write::Token { row: done, replaces: Some(token(1).sealed.tag()), releases: Some(1) };
    store.commit(vec![write]).await.expect("it follows the claim");
    assert_eq!(store.due(Wall(9), 9).await.expect("a read").len(), 2);
}

/// The lane that counts is the one of the token's last write.
pub async fn a_token_that_changed_its_lane_is_due_in_the_new_one(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), Write::Lane(lane("closed", 100))]).await.expect("the store is empty");
    let moved = TokenRow { lane: "closed".to_owned(), sealed: sealed(2), ..token(1) };
    store.commit(vec![replace(&token(1), moved.clone())]).await.expect("the first stands");
    assert!(store.due(Wall(99), 9).await.expect("a read").is_empty());
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(100))));
    store.commit(vec![replace(&moved, TokenRow { sealed: sealed(3), ..token(1) })]).await.expect("it follows");
    assert_eq!(store.due(Wall(0), 9).await.expect("a read").len(), 1);
}

/// Whether or not something is due now: a keeper that can't take it yet must not sleep past the rest.
pub async fn next_due_is_the_next_instant_that_changes_the_answer(opener: &impl Opener) {
    let store = opener.fresh().await;
    assert_eq!(store.next_due(Wall(0)).await, Ok(None));
    let other = |number, due| TokenRow { due: Wall(due), lane: "other".to_owned(), ..token(number) };
    let rows = [TokenRow { due: Wall(10), ..token(1) }, TokenRow { due: Wall(40), ..token(2) }, other(3, 30)];
    store.commit(rows.into_iter().map(insert).collect()).await.expect("the store is empty");
    let steps = [(0, Some(10)), (9, Some(10)), (10, Some(30)), (30, Some(40)), (39, Some(40)), (40, None)];
    for (now, expected) in steps {
        assert_eq!(store.next_due(Wall(now)).await, Ok(expected.map(Wall)), "at {now}");
    }
    let hasten = Write::Hasten { vault: vault(), name: name("token-2"), due: Wall(5) };
    store.commit(vec![hasten]).await.expect("the token is there");
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(5))));
}

/// A token of a closed lane counts with the instant at which both are ready.
pub async fn next_due_waits_for_closed_lanes(opener: &impl Opener) {
    let store = opener.fresh().await;
    let closed = |number, due| TokenRow { due: Wall(due), lane: "closed".to_owned(), ..token(number) };
    let mut batch: Vec<_> = [closed(1, 10), closed(2, 60)].into_iter().map(insert).collect();
    batch.push(Write::Lane(lane("closed", 50)));
    batch.push(Write::Lane(lane("empty", 20)));
    store.commit(batch).await.expect("the store is empty");
    for (now, expected) in [(0, Some(50)), (49, Some(50)), (50, Some(60)), (60, None)] {
        assert_eq!(store.next_due(Wall(now)).await, Ok(expected.map(Wall)), "at {now}");
    }
    store.commit(vec![Write::Lane(lane("closed", Wall::NEVER.0))]).await.expect("it replaces");
    assert_eq!(store.next_due(Wall(0)).await, Ok(None), "a lane that never opens is nothing to wait for");
    store.commit(vec![insert(TokenRow { due: Wall(70), ..token(3) })]).await.expect("the token is new");
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(70))));
}

/// They would wake the keeper for nothing.
pub async fn next_due_forgets_leased_paused_and_removed_tokens(opener: &impl Opener) {
    let store = opener.fresh().await;
    let rows = (1_u32..=4).map(|number| TokenRow { due: Wall(i64::from(number) * 10), ..token(number.into()) });
    let rows: Vec<TokenRow> = rows.collect();
    store.commit(rows.iter().cloned().map(insert).collect()).await.expect("the store is empty");
    store.claim(claim(&rows[0])).await.expect("a claim").expect("nobody has it");
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(20))));
    let paused = TokenRow { due: Wall::NEVER, sealed: sealed(9), ..rows[1].clone() };
    store.commit(vec![replace(&rows[1], paused)]).await.expect("it follows");
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(30))));
    store.commit(vec![Write::RemoveToken(rows[2].id)]).await.expect("it is there");
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(40))));
}

fn by_lane(rows: Vec<TokenRow>) -> BTreeMap<String, Vec<TokenRow>> {
    let mut lanes: BTreeMap<String, Vec<TokenRow>> = BTreeMap::new();
    for row in rows {
        lanes.entry(row.lane.clone()).or_default().push(row);
    }
    lanes
}
