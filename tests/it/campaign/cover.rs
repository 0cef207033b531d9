//! Scenarios that ordinary tests are already: the campaign runs them by name and counts them.

use super::table::Row;
use crate::harness::call::command;

/// Scenario, and the tests that are it.
pub const COVERED: [(&str, &[&str]); 15] = [
    ("1 SIGKILL of the engine", &["run_outcomes::a_signal_is_told_and_no_exit_code_is_made_up"]),
    (
        "2 daemons behind an exit 0",
        &["run_sweep::daemons_of_every_kind_are_swept_after_a_clean_exit"],
    ),
    ("3 TERM ignored", &["run_outcomes::a_tree_that_ignores_term_is_dead_in_time"]),
    ("4 a storm of forks", &["run_sweep::a_process_that_never_stands_still_is_caught"]),
    ("6 the warden killed", &["run_kills::a_killed_warden_is_not_missed"]),
    ("7 both killed", &["run_kills::when_both_are_killed_the_next_worker_call_ends_the_run"]),
    (
        "14 a reboot, a reused number",
        &[
            "run_reap::after_a_reboot_a_reused_number_is_an_innocent",
            "run_reap::s8_a_reused_number_in_the_same_boot_is_an_innocent_too",
        ],
    ),
    (
        "18 a full disk",
        &["full_disk::s13_an_end_without_room_keeps_the_worktree_and_is_told_later"],
    ),
    (
        "19 a read-only directory",
        &["read_only::m19_a_read_only_directory_with_a_dead_run_is_still_read"],
    ),
    (
        "21 callers in every state",
        &[
            "run_callers::a_caller_that_does_all_of_it",
            "run_callers::a_caller_that_leaks_500_descriptors_gets_them_all_back",
            "run_callers::a_caller_without_any_standard_stream",
        ],
    ),
    (
        "22 a stopped shim",
        &[
            "run_kills::s3_a_stopped_shim_does_not_stop_the_clock",
            "run_kills::a_shim_that_is_stopped_for_a_while_goes_on",
        ],
    ),
    ("24 jumps of the clock", &["tidy::m11_supervisors_decide_nothing_by_the_wall_clock"]),
    ("28 endless output", &["run_log_cap::an_endless_printer_is_ended_in_time_with_a_small_log"]),
    (
        "29 worktrees in the way",
        &[
            "run_worktree::f11_a_users_unplugged_worktree_keeps_its_entry",
            "run_reap::f11_a_mount_in_the_worktree_is_not_emptied",
            "run_salvage::f4_an_unreadable_file_keeps_the_worktree",
        ],
    ),
    ("30 many starts at once", &["run_start::many_workers_start_together_in_one_repository"]),
];

/// What nothing here can provide.
pub const SKIPPED: [(&str, &str); 2] = [
    (
        "17 the OOM killer takes a whole group",
        "memory.oom.group is of control groups v2 with a memory controller; as 7 and 13",
    ),
    (
        "24 suspend",
        "needs the whole machine; limits count CLOCK_MONOTONIC, as unit tests of `limits` show",
    ),
];

pub fn rows() -> Vec<Row> {
    let skipped = SKIPPED.map(|(name, why)| Row::skipped(name, why));
    COVERED.iter().map(|(name, tests)| covered(name, tests)).chain(skipped).collect()
}

pub fn covered(name: &str, tests: &[&str]) -> Row {
    let mut row = Row::new(name);
    let own = std::env::current_exe().expect("the running test knows its path");
    for test in tests {
        row.trials += 1;
        let output = command(&own)
            .args(["--exact", test, "--nocapture"])
            .output()
            .expect("this program can be started again");
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !text.contains("1 passed") {
            println!("VIOLATION test {test}\n{text}");
            row.failures.push(format!("test {test}"));
        }
        row.skipped =
            text.lines().find_map(|line| line.strip_prefix("SKIPPED: ")).map(str::to_owned);
    }
    row
}
