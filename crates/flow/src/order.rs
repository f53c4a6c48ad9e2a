//! Which action runs before which: `runAfter` among siblings, lifted to actions inside of others.

use crate::flow::{Flow, Kind};

/// The order of a flow's actions.
pub(crate) struct Order {
    /// All actions, each after those it waits for.
    pub(crate) sequence: Vec<usize>,
    /// For each action, the siblings that run before it.
    before: Vec<Bits>,
    /// For each action, the siblings that have surely run, and with success, when it starts.
    sure: Vec<Bits>,
    /// Whether an action surely runs when what it is in succeeds.
    unconditional: Vec<bool>,
    parents: Vec<Option<usize>>,
    depths: Vec<usize>,
    branches: Vec<usize>,
    kinds: Vec<Kind>,
}

/// How one action stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It runs before the other; `sure` if whenever the other runs, it has run.
    Before {
        sure: bool,
    },
    After,
    /// It is in another branch of the same condition.
    Excluded,
    /// Nothing says which comes first.
    Beside,
}

#[derive(Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }

    fn add(&mut self, other: &Self) {
        for (own, more) in self.0.iter_mut().zip(&other.0) {
            *own |= more;
        }
    }
}

impl Order {
    pub(crate) fn of(flow: &Flow) -> Self {
        let count = flow.actions.len();
        let mut order = Self {
            sequence: Vec::with_capacity(count),
            before: vec![Bits::new(count); count],
            sure: vec![Bits::new(count); count],
            unconditional: vec![false; count],
            parents: flow.actions.iter().map(|action| action.parent).collect(),
            depths: flow.actions.iter().map(|action| action.depth).collect(),
            branches: flow.actions.iter().map(|action| action.branch).collect(),
            kinds: flow.actions.iter().map(|action| action.kind).collect(),
        };
        let mut levels = std::collections::BTreeMap::<(Option<usize>, usize), Vec<usize>>::new();
        for (index, action) in flow.actions.iter().enumerate() {
            levels.entry((action.parent, action.branch)).or_default().push(index);
        }
        let mut sorted = std::collections::BTreeMap::new();
        for (level, siblings) in levels {
            sorted.insert(level, order.level(flow, level.0, &siblings));
        }
        order.visit(None, &sorted);
        order
    }

    /// Sorts the actions of one level, and fills in what is before each.
    fn level(&mut self, flow: &Flow, parent: Option<usize>, siblings: &[usize]) -> Vec<usize> {
        let waits = |index: usize| {
            flow.actions[index].run_after.iter().filter_map(|(name, success)| match flow.named(name)? {
                crate::flow::Named::Once(other) if siblings.binary_search(&other).is_ok() => Some((other, *success)),
                _ => None,
            })
        };
        let mut waiting: Vec<usize> = siblings.iter().map(|index| waits(*index).count()).collect();
        let mut followers = vec![Vec::new(); siblings.len()];
        for (slot, index) in siblings.iter().enumerate() {
            for (other, _) in waits(*index) {
                if let Ok(other) = siblings.binary_search(&other) {
                    followers[other].push(slot);
                }
            }
        }
        let mut ready: Vec<usize> = (0..siblings.len()).rev().filter(|slot| waiting[*slot] == 0).collect();
        let mut sorted = Vec::with_capacity(siblings.len());
        while let Some(slot) = ready.pop() {
            sorted.push(siblings[slot]);
            for follower in &followers[slot] {
                waiting[*follower] -= 1;
                if waiting[*follower] == 0 {
                    ready.push(*follower);
                }
            }
        }
        // What waits in a circle never runs; it comes last, so that it is at least looked at.
        let circle: Vec<usize> =
            (0..siblings.len()).filter(|slot| waiting[*slot] > 0).map(|slot| siblings[slot]).collect();
        sorted.extend(circle);

        for index in &sorted {
            let (mut before, mut sure) = (self.before[*index].clone(), self.sure[*index].clone());
            for (other, success) in waits(*index) {
                before.set(other);
                before.add(&self.before[other]);
                if success {
                    sure.set(other);
                    sure.add(&self.sure[other]);
                }
            }
            (self.before[*index], self.sure[*index]) = (before, sure);
        }
        let tidy = siblings.iter().all(|index| flow.actions[*index].run_after.iter().all(|(_, success)| *success));
        let always = parent.is_none_or(|parent| matches!(flow.actions[parent].kind, Kind::Scope | Kind::Until));
        for index in siblings {
            self.unconditional[*index] = tidy && always;
        }
        sorted
    }

    fn visit(
        &mut self,
        parent: Option<usize>,
        levels: &std::collections::BTreeMap<(Option<usize>, usize), Vec<usize>>,
    ) {
        for siblings in levels.range((parent, 0)..=(parent, usize::MAX)).map(|(_, siblings)| siblings) {
            for index in siblings {
                self.sequence.push(*index);
                self.visit(Some(*index), levels);
            }
        }
    }

    /// How `one` stands to `other`.
    pub(crate) fn relation(&self, one: usize, other: usize) -> Relation {
        let (mut left, mut right) = (one, other);
        while self.depths[left] > self.depths[right] {
            left = self.parents[left].unwrap_or(left);
        }
        while self.depths[right] > self.depths[left] {
            right = self.parents[right].unwrap_or(right);
        }
        if left == right {
            // One is inside of the other. A container's own expression is looked at before what is in it runs, but for
            // Until, which looks at it after each pass.
            return if right == other && one != other && self.kinds[other] == Kind::Until {
                Relation::Before { sure: self.surely_within(one, other) }
            } else {
                Relation::After
            };
        }
        while self.parents[left] != self.parents[right] {
            (left, right) = match (self.parents[left], self.parents[right]) {
                (Some(left), Some(right)) => (left, right),
                _ => return Relation::Beside,
            };
        }
        if self.branches[left] != self.branches[right] {
            Relation::Excluded
        } else if self.before[right].has(left) {
            Relation::Before { sure: self.sure[right].has(left) && self.surely_within(one, left) }
        } else if self.before[left].has(right) {
            Relation::After
        } else {
            Relation::Beside
        }
    }

    /// Whether `inner` has surely run when `outer`, which it is in or is, has succeeded.
    fn surely_within(&self, inner: usize, outer: usize) -> bool {
        let mut at = inner;
        while at != outer {
            if !self.unconditional[at] {
                return false;
            }
            match self.parents[at] {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        true
    }

    /// The loops that an action is in, from the inside out.
    pub(crate) fn loops(&self, action: usize) -> impl Iterator<Item = usize> + '_ {
        self.within(action).filter(|outer| self.kinds[*outer].is_loop())
    }

    /// What an action is in, from the inside out.
    pub(crate) fn within(&self, action: usize) -> impl Iterator<Item = usize> + '_ {
        core::iter::successors(self.parents[action], |outer| self.parents[*outer])
    }

    /// Whether an action is inside of another, at any depth.
    pub(crate) fn is_within(&self, inner: usize, outer: usize) -> bool {
        self.within(inner).any(|one| one == outer)
    }
}
