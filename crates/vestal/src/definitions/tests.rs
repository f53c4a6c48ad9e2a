//! Configuration files, applied to a store in memory one after the other.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::TargetDefinition;
use keeper::TokenDefinition;
use keyvault::VaultDefinition;
use renewal::{Answer, Boot, Lifetime, Moment, PauseReason, Random, Terms, Wall};
use serde::de::DeserializeOwned;
use store::rows::{DefinitionKind, DeliveryRow, Origin};
use store::{
    CACHE_BYTES, Declared, Delivery, DeliveryState, Entropy, MemoryStore, RecordError, Records, Store as _, Token,
};
use vault::{App, Keyring, Policy, SecretName, Seed, VaultName};

use super::{ApplyError, KEPT_AFTER_REMOVAL, apply, plan};
use crate::clock::SystemEntropy;
use crate::config::{self, Action, Plan};

/// 15 January 2027, in Unix seconds.
const START: i64 = 1_800_000_000;

/// When a target that has all it needs is looked at again.
const LATER: Duration = Duration::from_secs(3600);

const VAULT: &str = "[vault.contoso]\n";
const PROVIDER: &str = "[provider.my-api]\ntoken_url = \"https://api.example.com/token\"\n";
const TOKEN: &str = "[token.My-Token]\nvault = \"contoso\"\nprovider = \"my-api\"\nclient_id = \"me\"\n\
                     client_secret = { secret = \"credentials\" }\n";
const APP: &str = "[app.reader]\n";
const POLICY: &str = "[policy.reading]\napp = \"reader\"\nvault = \"contoso\"\npermissions = [\"get\"]\n\
                      names = [\"my-*\"]\n";

const TARGET: &str = "[target.azure]\nkind = \"azure-key-vault\"\nurl = \"https://azure.vault.azure.net\"\n\
                      credential = { kind = \"managed-identity\" }\n";
const DELIVER: &str = "deliver = [{ to = \"azure\" }]\n";

struct World {
    store: MemoryStore,
    records: Records<MemoryStore>,
    now: i64,
}

impl World {
    fn new() -> Self {
        let store = MemoryStore::new();
        let keyring = Keyring::new(1, &Seed::new(&[5; 32]));
        let records = Records::new(store.clone(), keyring, Arc::new(SystemEntropy), CACHE_BYTES);
        Self { store, records, now: START }
    }

    fn with(text: &str) -> Self {
        let world = Self::new();
        world.apply(text);
        world
    }

    fn moment(&self) -> Moment {
        let since_boot = u64::try_from(self.now - START).unwrap() * 1000;
        Moment { wall: Wall(self.now * 1000), boot: Boot { id: 1, ms: since_boot } }
    }

    /// Applies the file. What is planned is what is done.
    fn apply(&self, text: &str) -> Plan {
        let planned = self.try_plan(text).unwrap();
        let done = self.try_apply(text).unwrap();
        assert_eq!(planned, done);
        assert!(self.try_plan(text).unwrap().is_empty(), "nothing is left to do");
        done
    }

    fn try_plan(&self, text: &str) -> Result<Plan, ApplyError> {
        run(plan(&self.records, &config(text), self.moment()))
    }

    fn try_apply(&self, text: &str) -> Result<Plan, ApplyError> {
        run(apply(&self.records, &config(text), self.moment())).map(|applied| applied.plan)
    }

    fn declared<T: DeserializeOwned>(&self, kind: DefinitionKind, name: &str) -> Option<Declared<T>> {
        run(self.records.definition(kind, name)).unwrap()
    }

    fn app(&self) -> Declared<App> {
        self.declared(DefinitionKind::App, "reader").expect("it is there")
    }

    fn token(&self) -> Token {
        let (vault, name) = (VaultName::parse("contoso").unwrap(), SecretName::parse("my-token").unwrap());
        run(self.records.token_of(&vault, &name)).unwrap().expect("it is there")
    }

    /// Renews the token: it lives an hour from now.
    fn renew(&self) -> Token {
        let known = self.token();
        let answer =
            Answer { lifetime: Lifetime::Known(Duration::from_secs(3600)), refresh_in: None, same_value: false };
        let now = self.moment();
        let standing = known.standing.renewed(now, now, answer, Terms::default(), &mut Random::new(1));
        let mut writes = self.records.attempt_writes(known.row.id, &attempt(7));
        writes.push(self.records.token_write(&known, &standing, None));
        run(self.records.commit(writes)).unwrap();
        self.token()
    }

    /// What became of the token at the target.
    fn delivery(&self) -> Option<Delivery> {
        run(self.records.delivery(self.token().row.id, "azure")).unwrap()
    }

    /// Notes that the target holds generation 1 until the token is renewed again.
    fn deliver(&self) {
        let delivery = self.delivery().expect("it is to be delivered");
        let row = DeliveryRow { due: self.moment().wall.plus(LATER), generation: 1, ..delivery.row.clone() };
        let state = DeliveryState { version: Some("1".to_owned()), cut_over: true, ..DeliveryState::default() };
        run(self.records.commit(vec![self.records.delivery_write(&delivery, row, &state)])).unwrap();
    }

    /// Everything that definitions and tokens are in the store, by their seals: equal if nothing was written.
    fn seals(&self) -> Vec<vault::RecordTag> {
        let definitions = DefinitionKind::ALL
            .into_iter()
            .flat_map(|kind| run(self.store.definitions(kind)).unwrap())
            .map(|row| row.sealed.tag());
        let tokens = run(self.store.tokens(None, 100)).unwrap().into_iter().map(|row| row.sealed.tag());
        definitions.chain(tokens).collect()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    store::contract::block_on(future)
}

fn config(text: &str) -> config::Config {
    config::parse(text, "vestal.toml", Path::new("/")).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

fn whole() -> String {
    [VAULT, PROVIDER, TOKEN, APP, POLICY].concat()
}

/// A token that is delivered.
fn delivered() -> String {
    [VAULT, TARGET, PROVIDER, TOKEN, DELIVER].concat()
}

fn attempt(number: u64) -> store::Attempt {
    store::Attempt {
        number,
        started: START * 1000,
        took: 1,
        outcome: store::Outcome::Failed { class: "transient".to_owned(), error: None, words: "no".to_owned() },
        status: None,
        request_id: None,
        next_due: START * 1000,
        repeats: 0,
        last_repeat: None,
    }
}

/// The changes of a plan, in short: `add vault contoso`.
fn changes(plan: &Plan) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Add(_) => "add",
        Action::Change(_) => "change",
        Action::Remove => "remove",
    };
    plan.changes.iter().map(|change| format!("{} {} {}", word(&change.action), change.kind, change.name)).collect()
}

#[test]
fn a_file_becomes_vault_provider_token_app_and_policy() {
    let world = World::new();
    let done = world.apply(&whole());
    assert_eq!(
        changes(&done),
        [
            "add vault contoso",
            "add provider my-api",
            "add token contoso/my-token",
            "add app reader",
            "add policy reading"
        ]
    );
    let vault: Declared<VaultDefinition> = world.declared(DefinitionKind::Vault, "contoso").unwrap();
    assert_eq!((vault.origin, vault.removed), (Origin::File, None));
    assert!(world.declared::<oauth::ProviderTable>(DefinitionKind::Provider, "my-api").is_some());
    let definition: Declared<TokenDefinition> = world.declared(DefinitionKind::Token, "contoso/my-token").unwrap();
    assert_eq!(definition.body.provider, "my-api");
    let token = world.token();
    assert_eq!(token.row.due, world.moment().wall, "it is due at once");
    assert_eq!(token.row.lane, "api.example.com me");
    let policy: Declared<Policy> = world.declared(DefinitionKind::Policy, "reading").unwrap();
    assert_eq!(policy.body.app, world.app().body.object_id);
    assert_eq!(policy.body.names[0].as_str(), "my-*");
    assert!(world.app().body.secrets.is_empty(), "a client secret is made when somebody asks for it");
}

#[test]
fn a_file_is_applied_whole_or_not_at_all() {
    let world = World::new();
    world.store.fail_next_commit_unknown(store::Fate::Lost);
    assert!(world.try_apply(&whole()).is_err());
    assert!(world.seals().is_empty());
    world.store.set_full(true);
    let refused = world.try_apply(&whole());
    assert!(matches!(refused, Err(ApplyError::Record(RecordError::Store(store::StoreError::Full)))));
    world.store.set_full(false);
    world.apply(&whole());
    assert_eq!(world.seals().len(), 6, "five definitions and a token");
}

#[test]
fn the_same_file_again_writes_nothing() {
    let world = World::with(&whole());
    let renewed = world.renew();
    let before = world.seals();
    // It would fail if it wrote.
    world.store.set_full(true);
    let done = world.apply(&whole());
    assert!(done.is_empty());
    assert_eq!(done.unchanged, 5);
    assert_eq!(world.seals(), before);
    assert_eq!(world.token().row.due, renewed.row.due);
}

#[test]
fn what_only_moved_in_the_file_writes_nothing() {
    let world = World::with(&whole());
    let before = world.seals();
    let done = world.apply(&["# A comment.\n\n", POLICY, APP, TOKEN, PROVIDER, "[vault.CONTOSO]\n"].concat());
    assert!(done.is_empty(), "{:?}", changes(&done));
    assert_eq!(world.seals(), before);
}

#[test]
fn a_change_changes_what_it_is_about_and_nothing_else() {
    let world = World::with(&whole());
    let before = world.seals();
    let done = world.apply(&whole().replace("\"get\"", "\"get\", \"list\""));
    assert_eq!(changes(&done), ["change policy reading"]);
    let after = world.seals();
    assert_eq!(before.iter().zip(&after).filter(|(one, other)| one != other).count(), 1);
    let policy: Declared<Policy> = world.declared(DefinitionKind::Policy, "reading").unwrap();
    assert!(policy.body.permissions.iter().any(|permission| permission.as_str() == "list"));
}

#[test]
fn a_token_that_is_defined_otherwise_is_renewed_at_once() {
    let mut world = World::with(&whole());
    let before = world.renew();
    world.now += 60;
    let done = world.apply(&whole().replace("client_id = \"me\"", "client_id = \"us\"\nscope = [\"identify\"]"));
    assert_eq!(changes(&done), ["change token contoso/my-token"]);
    let after = world.token();
    assert_eq!(after.row.id, before.row.id);
    assert_eq!(after.row.generation, 1);
    assert_eq!(after.row.due, world.moment().wall);
    assert_eq!(after.row.lane, "api.example.com us");
    assert_eq!(after.standing.expiry, before.standing.expiry);
}

#[test]
fn a_token_whose_provider_moves_to_another_host_moves_to_its_lane() {
    let mut world = World::with(&whole());
    world.renew();
    world.now += 60;
    let done = world.apply(&whole().replace("api.example.com", "login.example.com"));
    assert_eq!(changes(&done), ["change provider my-api"]);
    let token = world.token();
    assert_eq!(token.row.lane, "login.example.com me");
    assert_eq!(token.row.due, world.moment().wall);
    assert_eq!(token.row.generation, 1);
}

#[test]
fn a_token_whose_providers_base_moves_to_another_host_moves_too() {
    let extended = format!("{}\n[provider.base]\ntoken_url = \"https://one.example.com/token\"\n", whole())
        .replace("token_url = \"https://api.example.com/token\"", "extends = \"base\"");
    let world = World::with(&extended);
    world.renew();
    assert_eq!(world.token().row.lane, "one.example.com me");
    let done = world.apply(&extended.replace("one.example.com", "two.example.com"));
    assert_eq!(changes(&done), ["change provider base"]);
    assert_eq!(world.token().row.lane, "two.example.com me");
}

#[test]
fn a_change_of_a_provider_that_keeps_its_host_hastens_tokens_that_fail_and_no_others() {
    let mut world = World::with(&whole());
    let well = world.renew();
    world.now += 60;
    world.apply(&whole().replace("com/token", "com/tokens"));
    assert_eq!(world.token().row.sealed, well.row.sealed);

    let mut standing = well.standing.clone();
    (standing.failures, standing.due) = (3, Wall((START + 3600) * 1000));
    run(world.records.commit(vec![world.records.token_write(&well, &standing, None)])).unwrap();
    world.apply(&whole());
    assert_eq!(world.token().row.due, world.moment().wall);
}

#[test]
fn what_leaves_the_file_is_kept_and_does_nothing() {
    let mut world = World::with(&whole());
    world.renew();
    world.now += 60;
    let done = world.apply(VAULT);
    assert_eq!(
        changes(&done),
        ["remove policy reading", "remove app reader", "remove token contoso/my-token", "remove provider my-api"]
    );
    assert_eq!(world.app().removed, Some(world.now));
    let token = world.token();
    assert!(token.standing.paused.contains(&PauseReason::DefinitionGone));
    assert_eq!(token.row.due, Wall::NEVER);
    assert_eq!(token.row.generation, 1);
    assert_eq!(run(world.records.attempts(token.row.id, None, 10)).unwrap().len(), 1);
}

#[test]
fn what_comes_back_is_what_it_was() {
    let mut world = World::with(&whole());
    let token = world.renew();
    let app = world.app();
    world.now += 60;
    world.apply(VAULT);
    world.now += KEPT_AFTER_REMOVAL - 3600;
    world.apply(VAULT);
    let done = world.apply(&whole());
    assert_eq!(done.counts(), (4, 0, 0));
    let back = world.app();
    assert_eq!((back.removed, &back.body), (None, &app.body));
    let policy: Declared<Policy> = world.declared(DefinitionKind::Policy, "reading").unwrap();
    assert_eq!((policy.removed, &policy.body.app), (None, &app.body.object_id));
    let again = world.token();
    assert_eq!((again.row.id, again.row.generation), (token.row.id, 1));
    assert!(again.standing.paused.is_empty());
    assert_eq!(again.row.due, token.row.due.min(world.moment().wall));
    assert_eq!(run(world.records.attempts(again.row.id, None, 10)).unwrap(), [attempt(7)]);
}

#[test]
fn a_token_that_a_person_paused_is_paused_when_its_definition_comes_back() {
    let world = World::with(&whole());
    let id = world.token().row.id;
    run(world.records.change_token(id, None, |_, standing| {
        standing.pause(PauseReason::Person);
        Vec::new()
    }))
    .unwrap();
    world.apply(VAULT);
    world.apply(&whole());
    let token = world.token();
    assert_eq!(token.standing.paused.iter().copied().collect::<Vec<_>>(), [PauseReason::Person]);
    assert_eq!(token.row.due, Wall::NEVER);
}

#[test]
fn thirty_days_later_it_is_forgotten() {
    let mut world = World::with(&whole());
    let token = world.renew();
    let app = world.app();
    world.apply(VAULT);
    world.now += KEPT_AFTER_REMOVAL;
    world.apply(VAULT);
    assert!(world.declared::<App>(DefinitionKind::App, "reader").is_some(), "the last moment");
    world.now += 1;
    let done = world.apply(VAULT);
    assert!(done.is_empty(), "it was announced when it was removed");
    assert_eq!(world.seals().len(), 1, "the vault alone is left");
    assert!(matches!(run(world.records.token(token.row.id)), Err(RecordError::NotFound)));
    assert!(run(world.records.attempts(token.row.id, None, 10)).unwrap().is_empty());
    world.apply(&whole());
    assert_ne!(world.app().body.client_id, app.body.client_id);
    assert_eq!(world.token().row.generation, 0);
}

#[test]
fn a_definition_of_a_name_that_was_made_with_the_command_line_is_refused_with_its_place() {
    let world = World::with(VAULT);
    let app = App {
        name: "reader".to_owned(),
        client_id: vault::ClientId::from_random([1; 16]),
        object_id: vault::ObjectId::from_random([2; 16]),
        tokens_not_before: 0,
        secrets: Vec::new(),
    };
    let write = world.records.define(DefinitionKind::App, "reader", Origin::Admin, None, &app, None);
    run(world.records.commit(vec![write])).unwrap();
    let before = world.seals();
    let file = [VAULT, PROVIDER, TOKEN, APP].concat();
    for refused in [world.try_apply(&file), world.try_plan(&file)] {
        let Err(error @ ApplyError::MadeByAdmin { .. }) = refused else { panic!("it takes the name") };
        let line = 1 + file.lines().position(|line| line == "[app.reader]").unwrap();
        assert!(error.to_string().starts_with(&format!("vestal.toml:{line} declares the app reader")), "{error}");
    }
    assert_eq!(world.seals(), before, "nothing of the file was applied");
}

#[test]
fn what_was_made_with_the_command_line_is_left_alone() {
    let mut world = World::with(&whole());
    let object = world.app().body.object_id;
    let policy = Policy {
        vault: VaultName::parse("contoso").unwrap(),
        app: object,
        permissions: vault::Permissions::parse(["list"]).unwrap(),
        names: Vec::new(),
    };
    let write = world.records.define(DefinitionKind::Policy, "by-hand", Origin::Admin, None, &policy, None);
    run(world.records.commit(vec![write])).unwrap();
    let done = world.apply(&whole());
    assert!(done.is_empty());
    world.apply(VAULT);
    world.now += KEPT_AFTER_REMOVAL + 1;
    world.apply(VAULT);
    let kept: Declared<Policy> = world.declared(DefinitionKind::Policy, "by-hand").unwrap();
    assert_eq!((kept.origin, kept.removed, kept.body), (Origin::Admin, None, policy));
}

#[test]
fn a_name_that_left_the_file_may_be_taken_over_with_the_command_line() {
    let world = World::with(&whole());
    world.apply(&[VAULT, PROVIDER, TOKEN, APP].concat());
    let left: Declared<Policy> = world.declared(DefinitionKind::Policy, "reading").unwrap();
    let write =
        world.records.define(DefinitionKind::Policy, "reading", Origin::Admin, None, &left.body, Some(left.tag));
    run(world.records.commit(vec![write])).unwrap();
    assert!(matches!(world.try_apply(&whole()), Err(ApplyError::MadeByAdmin { .. })));
}

#[test]
fn a_token_that_is_renewed_at_the_same_time_is_no_obstacle() {
    /// Does something when the next record is sealed: between what is read and what is committed.
    struct Interrupting(Mutex<Option<Box<dyn FnOnce() + Send>>>);
    impl Entropy for Interrupting {
        fn fill(&self, buffer: &mut [u8]) {
            let interrupt = self.0.lock().unwrap().take();
            if let Some(interrupt) = interrupt {
                interrupt();
            }
            SystemEntropy.fill(buffer);
        }
    }
    let world = Arc::new(World::with(&whole()));
    let renewing = Arc::clone(&world);
    let interrupting = Interrupting(Mutex::new(Some(Box::new(move || drop(renewing.renew())))));
    let keyring = Keyring::new(1, &Seed::new(&[5; 32]));
    let records = Records::new(world.store.clone(), keyring, Arc::new(interrupting), CACHE_BYTES);
    let config = config(&whole().replace("client_id = \"me\"", "client_id = \"us\""));
    run(apply(&records, &config, world.moment())).unwrap();
    assert_eq!((world.token().row.generation, world.token().row.lane.as_str()), (1, "api.example.com us"));
}

#[test]
fn a_target_is_stored_and_its_delivery_is_due_at_once() {
    let world = World::new();
    let done = world.apply(&delivered());
    assert_eq!(
        changes(&done),
        ["add vault contoso", "add target azure", "add provider my-api", "add token contoso/my-token"]
    );
    assert!(done.to_string().contains("+ deliver: azure as My-Token, checked every 1h"), "{done}");
    let target: Declared<TargetDefinition> = world.declared(DefinitionKind::Target, "azure").unwrap();
    assert_eq!((target.origin, target.removed), (Origin::File, None));
    let delivery = world.delivery().expect("it is to be delivered");
    assert_eq!((delivery.row.due, delivery.row.generation), (world.moment().wall, 0));
    world.store.set_full(true);
    assert!(world.apply(&delivered()).is_empty(), "it would fail if it wrote");
}

#[test]
fn a_delivery_that_is_added_to_a_token_renews_nothing() {
    let mut world = World::with(&delivered().replace(DELIVER, ""));
    let renewed = world.renew();
    assert!(world.delivery().is_none());
    world.now += 60;
    assert_eq!(changes(&world.apply(&delivered())), ["change token contoso/my-token"]);
    assert_eq!(world.token().row.due, renewed.row.due);
    assert_eq!(world.delivery().expect("it is to be delivered").row.due, world.moment().wall);
}

#[test]
fn a_delivery_that_leaves_the_file_is_forgotten() {
    let world = World::with(&delivered());
    world.deliver();
    world.apply(&delivered().replace(DELIVER, ""));
    assert!(world.delivery().is_none());
}

#[test]
fn a_token_that_leaves_the_file_is_looked_after_nowhere_and_comes_back_as_it_was() {
    let mut world = World::with(&delivered());
    world.renew();
    world.deliver();
    world.now += 60;
    let done = world.apply(VAULT);
    assert_eq!(changes(&done), ["remove token contoso/my-token", "remove provider my-api", "remove target azure"]);
    let left = world.delivery().expect("it is kept");
    assert_eq!((left.row.due, left.row.generation, left.state.cut_over), (Wall::NEVER, 1, true));
    world.apply(&delivered());
    let back = world.delivery().expect("it is kept");
    assert_eq!((back.row.due, back.row.generation, back.state.cut_over), (world.moment().wall, 1, true));
}

#[test]
fn what_was_delivered_to_the_old_place_of_a_target_is_delivered_to_the_new_one() {
    let mut world = World::with(&delivered());
    world.renew();
    world.deliver();
    world.now += 60;
    let moved = delivered().replace("azure.vault.azure.net", "other.vault.azure.net");
    assert_eq!(changes(&world.apply(&moved)), ["change target azure"]);
    let there = world.delivery().expect("it is to be delivered");
    assert_eq!((there.row.due, there.row.generation), (world.moment().wall, 0));
    let state = DeliveryState { cut_over: true, ..DeliveryState::default() };
    assert_eq!(there.state, state, "nothing is there yet, and that the token was cut over stays so");
}

#[test]
fn a_target_that_is_opened_otherwise_is_tried_at_once_and_holds_what_it_held() {
    let mut world = World::with(&delivered());
    let renewed = world.renew();
    world.deliver();
    world.now += 60;
    let config = config(&delivered().replace("managed-identity", "azure-cli"));
    let applied = run(apply(&world.records, &config, world.moment())).unwrap();
    assert_eq!((applied.targets, applied.lanes), (vec!["azure".to_owned()], Vec::new()));
    let there = world.delivery().expect("it is to be delivered");
    assert_eq!((there.row.due, there.row.generation, there.state.cut_over), (world.moment().wall, 1, true));
    assert_eq!(world.token().row.due, renewed.row.due);
}
