//! Histories made up from a seed. A step says everything that it needs, so that a history from which steps were
//! dropped is a history too.

use demo_reset_domain::OnConflict;

use super::model::{Key, Row, Write};
use crate::random::Random;

/// What happens to a session, or to all of them.
#[derive(Debug, Clone)]
pub enum Step {
    /// The user works. A stale one keeps the id that it knew and does not ask for its session first.
    User {
        who: usize,
        stale: bool,
        act: Act,
    },
    /// An administrator of the same organization resets the user's session.
    AdminReset {
        who: usize,
    },
    /// Minutes pass.
    Wait {
        minutes: i64,
    },
    /// The clock goes to where the next archive expires, or one microsecond before.
    WaitForExpiry {
        just_before: bool,
    },
    /// The clock goes to where the next session is idle, or one microsecond before.
    WaitForIdle {
        just_before: bool,
    },
    /// Of one organization, or of all.
    Cleanup {
        organization: Option<usize>,
    },
    Verify,
    /// The host changes its own rows.
    ChangeBase {
        writes: Vec<Write>,
    },
    /// The host adds a column to a table.
    AddColumn {
        table: usize,
    },
}

#[derive(Debug, Clone)]
pub enum Act {
    Write(Write),
    /// The statement is run, and then the unit of work fails.
    RolledBack(Write),
    Reset,
    ResetRecords(Vec<(usize, Key)>),
    /// The `nth` archive, newest first; none for whichever the engine chooses.
    Undo {
        nth: Option<usize>,
        on_conflict: OnConflict,
    },
}

/// How many sessions there are.
pub fn sessions(random: &mut Random) -> usize {
    [2, 2, 2, 3, 3, 4, 5, 8][random.below(8)]
}

/// What a session has done so far, roughly: most steps should find something to do.
#[derive(Debug, Clone, Default)]
struct Past {
    touched: Vec<(usize, Key)>,
    has_archives: bool,
}

/// The base of a history changes where it has a database of its own.
pub fn history(random: &mut Random, sessions: usize, steps: usize, changes_base: bool) -> Vec<Step> {
    // One user does most of it: layers and archives meet in one session.
    let hero = random.below(sessions);
    let mut past = vec![Past::default(); sessions];
    let mut all: Vec<Step> = (0..steps)
        .map(|_| {
            let who = if random.below(4) < 3 { hero } else { random.below(sessions) };
            step(random, who, &mut past[who], changes_base)
        })
        .collect();
    if random.below(12) == 0 {
        // Nobody comes for so long that every session goes; then a user comes with the id of the old one.
        let cleanup = Step::Cleanup { organization: None };
        let gone = [
            Step::Wait { minutes: 50_000 },
            cleanup.clone(),
            Step::Wait { minutes: 1_500 },
            cleanup,
            Step::User { who: hero, stale: true, act: Act::Reset },
        ];
        let at = steps / 2;
        all.splice(at..at, gone);
    }
    all
}

fn step(random: &mut Random, who: usize, past: &mut Past, changes_base: bool) -> Step {
    let is_rare = random.below(8) == 0;
    let act = match random.below(if changes_base { 130 } else { 100 }) {
        0..3 => Act::RolledBack(write(random)),
        3..16 if !past.touched.is_empty() || is_rare => {
            past.touched.clear();
            past.has_archives = true;
            Act::Reset
        }
        16..23 if !past.touched.is_empty() || is_rare => {
            past.has_archives = true;
            let some = 1 + random.below(2);
            Act::ResetRecords(
                (0..some)
                    .map(|_| match past.touched.len() {
                        0 => record(random),
                        touched => past.touched[random.below(touched)].clone(),
                    })
                    .collect(),
            )
        }
        23..43 if past.has_archives || is_rare => Act::Undo {
            nth: [None, None, None, Some(0), Some(1), Some(2)][random.below(6)],
            on_conflict: [OnConflict::Fail, OnConflict::KeepCurrent, OnConflict::RestoreArchived]
                [random.below(3)],
        },
        86..88 => return Step::AdminReset { who },
        88..91 => return Step::Wait { minutes: [1, 60, 600, 1_440][random.below(4)] },
        91 => return Step::WaitForExpiry { just_before: random.below(2) == 0 },
        92 => return Step::WaitForIdle { just_before: random.below(2) == 0 },
        93..97 => return Step::Cleanup { organization: [None, None, Some(0), Some(1)][random.below(4)] },
        97 => return Step::Verify,
        100..124 => {
            return Step::ChangeBase { writes: (0..2 + random.below(6)).map(|_| write(random)).collect() };
        }
        124.. => return Step::AddColumn { table: random.below(4) },
        _ => {
            let write = write(random);
            past.touched.push(match &write {
                Write::Put { table, row } => {
                    (*table, row[..1 + usize::from(*table == 1)].iter().flatten().cloned().collect())
                }
                Write::Delete { table, key } => (*table, key.clone()),
            });
            Act::Write(write)
        }
    };
    Step::User { who, stale: random.below(12) == 0, act }
}

fn record(random: &mut Random) -> (usize, Key) {
    let row_of = match random.below(10) {
        0..4 => 0,
        4..7 => 1,
        7 | 8 => 2,
        _ => 3,
    };
    let key = match row_of {
        0 => vec![parent(random)],
        1 => child(random),
        2 => vec![leaf(random)],
        _ => vec![loan(random)],
    };
    (row_of, key)
}

fn write(random: &mut Random) -> Write {
    let (table, key) = record(random);
    if random.below(5) < 2 {
        return Write::Delete { table, key };
    }
    let mut row: Row = key.into_iter().map(Some).collect();
    let nothing = random.below(3) == 0;
    match table {
        0 => {
            row.push(Some(format!("l{}", random.below(8))));
            row.push((!nothing).then(|| parent(random)));
        }
        1 => {}
        2 => row.extend(child(random).into_iter().map(Some)),
        _ => {
            row.push((!nothing).then(|| parent(random)));
            row.push((random.below(2) == 0).then(|| leaf(random)));
        }
    }
    row.push(Some(random.below(4).to_string()));
    Write::Put { table, row }
}

// The base has the first few of each kind.

fn parent(random: &mut Random) -> String {
    (1 + random.below(7)).to_string()
}

fn child(random: &mut Random) -> Key {
    vec![parent(random), ["a", "b"][random.below(2)].to_owned()]
}

fn leaf(random: &mut Random) -> String {
    format!("f{}", random.below(7))
}

fn loan(random: &mut Random) -> String {
    (1 + random.below(5)).to_string()
}
