//! The outbox: what is to be delivered where.

use renewal::Wall;

use super::Opener;
use super::facts::Facts as _;
use super::sample::{delivery, insert, sealed, token, token_id};
use crate::rows::{DeliveryRow, TokenId};
use crate::{CommitError, Store, Write};

fn first(row: DeliveryRow) -> Write {
    Write::Delivery { row, replaces: None }
}

/// Nobody's change is overwritten unseen.
pub async fn a_delivery_is_inserted_once_and_replaced_only_from_its_record(opener: &impl Opener) {
    let store = opener.fresh().await;
    let row = delivery(1, "contoso");
    store.commit(vec![first(row.clone())]).await.expect("the store is empty");
    assert_eq!(store.commit(vec![first(row.clone())]).await, Err(CommitError::Conflict));
    let next = DeliveryRow { generation: 1, due: Wall(9), expiry: Wall(50), sealed: sealed(100), ..row.clone() };
    let wrong = Write::Delivery { row: next.clone(), replaces: Some(sealed(99).tag()) };
    assert_eq!(store.commit(vec![wrong]).await, Err(CommitError::Conflict));
    let right = Write::Delivery { row: next.clone(), replaces: Some(row.sealed.tag()) };
    store.commit(vec![right]).await.expect("it is the record that it was made from");
    let store = opener.reopen(store).await;
    let found = store.delivery(token_id(1), "contoso").await.expect("a read");
    assert_eq!(found.facts(), Some(next).facts());
    store
        .commit(vec![Write::RemoveDelivery { token: token_id(1), target: "contoso".to_owned() }])
        .await
        .expect("it may be removed");
    assert!(store.delivery(token_id(1), "contoso").await.expect("a read").is_none());
}

/// By token, then by target.
pub async fn deliveries_come_in_order_and_in_pages(opener: &impl Opener) {
    let store = opener.fresh().await;
    for (number, target) in [(2, "b"), (1, "b"), (1, "a"), (3, "a")] {
        store.commit(vec![first(delivery(number, target))]).await.expect("it is new");
    }
    let place = |row: &DeliveryRow| (row.token, row.target.clone());
    let all: Vec<_> = store.deliveries(None, 9).await.expect("a read").iter().map(place).collect();
    let expected =
        [(1, "a"), (1, "b"), (2, "b"), (3, "a")].map(|(number, target)| (token_id(number), target.to_owned()));
    assert_eq!(all, expected);
    let page = store.deliveries(Some((token_id(1), "a")), 2).await.expect("a read");
    assert_eq!(page.iter().map(place).collect::<Vec<_>>(), expected[1..3]);
}

/// A new generation is due at every target, also where nothing was due, and a sooner due time stays.
pub async fn asking_makes_every_delivery_of_a_token_due(opener: &impl Opener) {
    let store = opener.fresh().await;
    let rows = [("never", Wall::NEVER), ("later", Wall(90)), ("sooner", Wall(10))];
    let rows = rows.map(|(target, due)| first(DeliveryRow { due, ..delivery(1, target) }));
    store.commit(rows.into()).await.expect("the store is empty");
    store.commit(vec![first(DeliveryRow { due: Wall(90), ..delivery(2, "later") })]).await.expect("it is new");
    store
        .commit(vec![Write::Deliver { token: token_id(1), due: Wall(50), behind: Wall::NEVER }])
        .await
        .expect("it may ask");
    for (target, due) in [("never", 50), ("later", 50), ("sooner", 10)] {
        let row = store.delivery(token_id(1), target).await.expect("a read").expect("it is there");
        assert_eq!((row.due, row.asked), (Wall(due), 1), "{target}");
    }
    let other = store.delivery(token_id(2), "later").await.expect("a read").expect("it is there");
    assert_eq!((other.due, other.asked), (Wall(90), 0), "another token did not ask");
}

/// A delivery that ends while the next generation is already there doesn't put it off.
pub async fn an_answer_to_an_earlier_request_leaves_the_later_one_due(opener: &impl Opener) {
    let store = opener.fresh().await;
    let row = delivery(1, "contoso");
    store.commit(vec![first(row.clone())]).await.expect("the store is empty");
    let ask = || Write::Deliver { token: token_id(1), due: Wall(20), behind: Wall(20) };
    store.commit(vec![ask()]).await.expect("it may ask");
    let seen = store.delivery(token_id(1), "contoso").await.expect("a read").expect("it is there");
    store.commit(vec![ask()]).await.expect("it may ask again");
    let answer = DeliveryRow { due: Wall(3_600), generation: 1, sealed: sealed(101), ..seen.clone() };
    let write = Write::Delivery { row: answer.clone(), replaces: Some(seen.sealed.tag()) };
    store.commit(vec![write]).await.expect("the record is the same");
    let now = store.delivery(token_id(1), "contoso").await.expect("a read").expect("it is there");
    assert_eq!((now.due, now.asked, now.generation), (Wall(0), 2, 1), "it is still due");
    let answer = DeliveryRow { due: Wall(3_600), sealed: sealed(102), ..now.clone() };
    let write = Write::Delivery { row: answer, replaces: Some(now.sealed.tag()) };
    store.commit(vec![write]).await.expect("the record is the same");
    let last = store.delivery(token_id(1), "contoso").await.expect("a read").expect("it is there");
    assert_eq!(last.due, Wall(3_600), "all that was asked is answered");
}

/// The target that loses its token first comes first.
pub async fn due_deliveries_come_most_urgent_first_and_by_target(opener: &impl Opener) {
    let store = opener.fresh().await;
    let rows = [(1, "a", 5, 70), (2, "a", 6, 30), (3, "a", 7, 0), (4, "a", 99, 1), (5, "b", 5, 2)];
    let rows = rows.map(|(number, target, due, expiry)| {
        first(DeliveryRow { due: Wall(due), expiry: Wall(expiry), ..delivery(number, target) })
    });
    store.commit(rows.into()).await.expect("the store is empty");
    let never = DeliveryRow { due: Wall::NEVER, ..delivery(6, "a") };
    store.commit(vec![first(never)]).await.expect("it is new");
    let due = |rows: Vec<DeliveryRow>| rows.iter().map(|row| row.token).collect::<Vec<_>>();
    let found = due(store.due_deliveries("a", Wall(7), 9).await.expect("a read"));
    assert_eq!(found, [3, 2, 1].map(token_id));
    let found = due(store.due_deliveries("a", Wall(7), 2).await.expect("a read"));
    assert_eq!(found, [3, 2].map(token_id));
    assert_eq!(due(store.due_deliveries("a", Wall(5), 9).await.expect("a read")), [token_id(1)]);
    assert!(store.due_deliveries("c", Wall(7), 9).await.expect("a read").is_empty());
    assert_eq!(store.next_delivery("a", Wall(5)).await, Ok(Some(Wall(6))));
    assert_eq!(store.next_delivery("a", Wall(99)).await, Ok(None), "what never is due has no time");
    assert_eq!(due(store.due_deliveries("a", Wall::NEVER, 9).await.expect("a read")).len(), 4);
}

async fn behind_at_a(
    store: &impl Store,
    after: Option<(Wall, TokenId)>,
    until: Wall,
    limit: usize,
) -> Vec<(TokenId, Wall)> {
    let rows = store.deliveries_behind("a", after, until, limit).await.expect("a read");
    rows.iter().map(|row| (row.token, row.behind)).collect()
}

/// Since when a target lacks something is moved by what makes good for it alone.
pub async fn what_is_behind_is_so_since_the_first_time_that_it_was(opener: &impl Opener) {
    let store = opener.fresh().await;
    let first_write = |number| first(DeliveryRow { due: Wall(5), ..delivery(number, "a") });
    store.commit(vec![first_write(1), first_write(2), first_write(3)]).await.expect("the store is empty");
    store.commit(vec![first(delivery(2, "b"))]).await.expect("it is new");
    for (number, behind) in [(1, Wall(30)), (1, Wall(40)), (2, Wall(20)), (3, Wall::NEVER)] {
        let ask = Write::Deliver { token: token_id(number), due: Wall(50), behind };
        store.commit(vec![ask]).await.expect("it may ask");
    }
    let store = opener.reopen(store).await;
    let (longest, next) = ((token_id(2), Wall(20)), (token_id(1), Wall(30)));
    assert_eq!(behind_at_a(&store, None, Wall::NEVER, 9).await, [longest, next]);
    assert_eq!(behind_at_a(&store, None, Wall(29), 9).await, [longest]);
    assert_eq!(behind_at_a(&store, None, Wall(90), 1).await, [longest]);
    assert_eq!(behind_at_a(&store, Some((Wall(20), token_id(2))), Wall(90), 9).await, [next]);
    // A failure leaves it, and so does the answer to an earlier request.
    let seen = store.delivery(token_id(1), "a").await.expect("a read").expect("it is there");
    let failed = DeliveryRow { due: Wall(70), sealed: sealed(101), ..seen.clone() };
    let write = Write::Delivery { row: failed.clone(), replaces: Some(seen.sealed.tag()) };
    store.commit(vec![write]).await.expect("the record is the same");
    assert_eq!(behind_at_a(&store, None, Wall(90), 9).await, [longest, next]);
    let early = DeliveryRow { asked: seen.asked - 1, behind: Wall::NEVER, sealed: sealed(102), ..seen.clone() };
    let write = Write::Delivery { row: early.clone(), replaces: Some(failed.sealed.tag()) };
    store.commit(vec![write]).await.expect("the record is the same");
    assert_eq!(behind_at_a(&store, None, Wall(90), 9).await, [longest, next]);
    let delivered = DeliveryRow { behind: Wall::NEVER, sealed: sealed(103), ..seen };
    let write = Write::Delivery { row: delivered, replaces: Some(early.sealed.tag()) };
    store.commit(vec![write]).await.expect("the record is the same");
    assert_eq!(behind_at_a(&store, None, Wall(90), 9).await, [longest]);
}

/// What is no longer renewed is no longer delivered.
pub async fn a_removed_token_takes_its_deliveries_along(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), first(delivery(1, "a")), first(delivery(2, "a"))]).await.expect("it is empty");
    store.commit(vec![Write::RemoveToken(token_id(1))]).await.expect("it may be removed");
    let left: Vec<_> = store.deliveries(None, 9).await.expect("a read").iter().map(|row| row.token).collect();
    assert_eq!(left, [token_id(2)]);
}
