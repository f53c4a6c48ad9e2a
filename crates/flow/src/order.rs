//! The order of the actions of one sequence, as `runAfter` gives it.

use std::collections::BTreeMap;

/// Which actions of a sequence run before which.
#[derive(Clone, Default)]
pub(crate) struct Order {
    /// Each place after those that it waits for.
    sequence: Vec<usize>,
    /// For each place, those that it waits for itself.
    direct: Vec<Vec<usize>>,
    /// For each place, all that have ended when it begins, as bits.
    before: Vec<Vec<u64>>,
}

impl Order {
    /// The order of actions by their names and the names that they wait for. Names that aren't among them are passed over:
    /// they are of actions that weren't copied.
    ///
    /// # Errors
    /// The name of an action that waits for itself.
    pub(crate) fn of(waits: &[(String, Vec<String>)]) -> Result<Self, String> {
        let places: BTreeMap<&str, usize> =
            waits.iter().enumerate().map(|(place, (name, _))| (name.as_str(), place)).collect();
        let direct: Vec<Vec<usize>> = waits
            .iter()
            .map(|(_, names)| names.iter().filter_map(|name| places.get(name.as_str()).copied()).collect())
            .collect();
        let mut waiting: Vec<usize> = direct.iter().map(Vec::len).collect();
        let mut followers = vec![Vec::new(); waits.len()];
        for (place, befores) in direct.iter().enumerate() {
            for &before in befores {
                followers[before].push(place);
            }
        }
        let mut before = vec![vec![0_u64; waits.len().div_ceil(64)]; waits.len()];
        let mut sequence: Vec<usize> = (0..waits.len()).filter(|place| waiting[*place] == 0).collect();
        let mut next = 0;
        while let Some(&place) = sequence.get(next) {
            next += 1;
            let mut ended = before[place].clone();
            ended[place / 64] |= 1 << (place % 64);
            for &follower in &followers[place] {
                for (all, bits) in before[follower].iter_mut().zip(&ended) {
                    *all |= bits;
                }
                waiting[follower] -= 1;
                if waiting[follower] == 0 {
                    sequence.push(follower);
                }
            }
        }
        if sequence.len() < waits.len() {
            let stuck = waiting.iter().position(|count| *count > 0).unwrap_or_default();
            return Err(waits[stuck].0.clone());
        }
        Ok(Self { sequence, direct, before })
    }

    pub(crate) fn sequence(&self) -> &[usize] {
        &self.sequence
    }

    pub(crate) fn direct(&self, place: usize) -> &[usize] {
        &self.direct[place]
    }

    /// Whether `first` has ended when `second` begins.
    pub(crate) fn is_before(&self, first: usize, second: usize) -> bool {
        self.before[second][first / 64] & (1 << (first % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(waits: &[(&str, &[&str])]) -> Result<Order, String> {
        let owned: Vec<(String, Vec<String>)> = waits
            .iter()
            .map(|(name, names)| ((*name).to_owned(), names.iter().map(|name| (*name).to_owned()).collect()))
            .collect();
        Order::of(&owned)
    }

    #[test]
    fn an_action_comes_after_all_that_it_waits_for() {
        let order = order(&[("c", &["b"]), ("b", &["a"]), ("a", &[]), ("d", &["a"])]).expect("there is an order");
        assert!(order.is_before(2, 0) && order.is_before(1, 0));
        assert!(!order.is_before(0, 3) && !order.is_before(3, 0), "they run beside each other");
        let at = |place| order.sequence().iter().position(|found| *found == place);
        assert!(at(2) < at(1) && at(1) < at(0));
    }

    #[test]
    fn a_circle_is_told() {
        assert!(order(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]).is_err());
    }
}
