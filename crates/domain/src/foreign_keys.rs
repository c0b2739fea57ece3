//! The order in which tables are written, computed from their foreign keys.

/// A foreign key between two tables, given by their positions in the list of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The table that refers.
    pub child: usize,
    /// The table referred to.
    pub parent: usize,
}

/// Positions of `tables` tables such that parents come before their children.
///
/// Tables that no key orders keep their given order, so the result is the same every time. A table that refers
/// to itself is no obstacle. In a cycle of several tables no order is right; its tables come in their given
/// order, as soon as everything outside the cycle that they refer to has come.
pub fn parents_before_children(tables: usize, references: &[Reference]) -> Vec<usize> {
    let mut placed = vec![false; tables];
    let mut order = Vec::with_capacity(tables);
    let is_free = |table: usize, placed: &[bool]| {
        references.iter().all(|reference| {
            reference.child != table || reference.parent == table || placed[reference.parent]
        })
    };
    while let Some(next) = (0..tables)
        .find(|&table| !placed[table] && is_free(table, &placed))
        .or_else(|| first_in_a_cycle(&placed, references))
    {
        placed[next] = true;
        order.push(next);
    }
    order
}

/// The reverse of [`parents_before_children`].
pub fn children_before_parents(tables: usize, references: &[Reference]) -> Vec<usize> {
    let mut order = parents_before_children(tables, references);
    order.reverse();
    order
}

/// The first unplaced table that waits only for tables which, in turn, wait for it.
fn first_in_a_cycle(placed: &[bool], references: &[Reference]) -> Option<usize> {
    let waits_for = |table: usize| {
        let mut reached = vec![false; placed.len()];
        let mut open = vec![table];
        while let Some(at) = open.pop() {
            for reference in references.iter().filter(|reference| reference.child == at) {
                let parent = reference.parent;
                if !placed[parent] && !reached[parent] {
                    reached[parent] = true;
                    open.push(parent);
                }
            }
        }
        reached
    };
    let unplaced: Vec<usize> = (0..placed.len()).filter(|&table| !placed[table]).collect();
    let waits: Vec<Vec<bool>> =
        (0..placed.len()).map(|table| if placed[table] { Vec::new() } else { waits_for(table) }).collect();
    unplaced
        .iter()
        .copied()
        .find(|&table| unplaced.iter().all(|&other| !waits[table][other] || waits[other][table]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(pairs: &[(usize, usize)]) -> Vec<Reference> {
        pairs.iter().map(|&(child, parent)| Reference { child, parent }).collect()
    }

    #[test]
    fn parents_come_first_and_unrelated_tables_keep_their_order() {
        let keys = references(&[(0, 1), (1, 2), (3, 1)]);
        assert_eq!(parents_before_children(5, &keys), [2, 1, 0, 3, 4]);
        assert_eq!(children_before_parents(5, &keys), [4, 3, 0, 1, 2]);
    }

    #[test]
    fn a_reference_to_itself_is_no_obstacle() {
        assert_eq!(parents_before_children(2, &references(&[(0, 0), (0, 1)])), [1, 0]);
    }

    #[test]
    fn a_cycle_waits_for_what_it_refers_to_and_is_waited_for() {
        // 1 and 2 form a cycle that refers to 3; 0 refers to the cycle.
        let keys = references(&[(0, 1), (1, 2), (2, 1), (2, 3)]);
        assert_eq!(parents_before_children(4, &keys), [3, 1, 0, 2]);
    }

    #[test]
    fn of_two_cycles_the_one_that_is_referred_to_comes_first() {
        let keys = references(&[(0, 1), (1, 0), (2, 3), (3, 2), (0, 2)]);
        assert_eq!(parents_before_children(4, &keys), [2, 3, 0, 1]);
    }

    #[test]
    fn cycles_that_have_nothing_to_do_with_each_other_keep_their_order() {
        let keys = references(&[(0, 1), (1, 0), (2, 3), (3, 2)]);
        assert_eq!(parents_before_children(4, &keys), [0, 1, 2, 3]);
    }

    #[test]
    fn every_table_is_placed_exactly_once() {
        let keys = references(&[(0, 1), (1, 2), (2, 0), (3, 4), (4, 3), (3, 0)]);
        let mut order = parents_before_children(6, &keys);
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    }
}
