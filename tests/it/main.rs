//! Black-box tests of both binaries. The list of modules is the plan; each line says what belongs there.
//! They look at processes through `/proc` and pidfds, so they are for Linux.

#![cfg(target_os = "linux")]

/// What the tests stand on. Tests in it are about the harness itself.
mod harness;

/// That the fake engine and the waits can be trusted: what connects, lives, hides, dies.
mod fakes;

/// House rules about the sources, as tests.
mod tidy;

/// `create`, `show`, `list`, `comment`, `attach`: exact output, exact bytes.
mod tracker;
/// `archive`, `unarchive`.
mod tracker_archive;
/// `assign`, `update`, `event`, comments and reactions.
mod tracker_fields;
/// Hooks that take too long, or leave something behind.
mod tracker_hooks;
/// `init`, and what it completes.
mod tracker_init;
/// `next`, and claims.
mod tracker_next;
/// What the tracker's commands refuse.
mod tracker_refusals;
/// `link`, `branch-link`, and reviews of commits.
mod tracker_relations;
/// What crashes, git and the Python tool leave in `.lattice`, and that it heals.
mod tracker_syncs;
/// `status` and `complete` by the rules of the workflow.
mod tracker_workflow;
mod tracker_wreckage;

/// The same commands given to both tools.
mod peer_commands;
/// Both tools at once.
mod peer_races;
/// Replays of generated logs, compared with the Python tool's.
mod peer_replay;
/// The Python tool on what was repaired here.
mod peer_wreckage;

/// Completions, manual pages, versions.
mod cli_completions;
/// Tab in bash, zsh and fish.
mod cli_shells;
/// Every command's answers, refusals and help, as transcripts.
mod output;

/// Task locks against other processes' flock(2).
mod storage_locks;
/// The tracker's commands killed, and refused by the system, at any system call.
mod tracker_crash;
/// What they are.
mod tracker_crash_commands;
/// `init`, in the same way.
mod tracker_crash_init;
/// `doctor`: what it finds, and what it repairs.
mod tracker_doctor;
/// The same for runs, worktrees and clones.
mod tracker_doctor_scenes;
/// `rebuild`, `backfill-ids`, `set-project-code`.
mod tracker_rebuild;

/// The fault campaign: `scripts/campaign`, and its short forms.
mod campaign;
/// Definitions and surroundings that keep a worker from starting.
mod contention;
mod definitions;
/// How agents are called, what they get, and what is understood of their work.
mod engines_done;
/// What each agent must stand: one table of cases for all.
mod engines_each;
/// What agents say when they fail, and what is said of it.
mod engines_failed;
/// Output of every size and shape, and memory.
mod engines_output;
/// The real agents, where somebody has installed them, against providers on this machine.
mod engines_real;
/// Prompts, and surroundings in which an agent would do nothing.
mod engines_start;

/// One run as a model, searched exhaustively.
mod protocol;

/// A disk without room.
mod full_disk;
/// A disk that fills at one step of a run's start or end.
mod full_disk_steps;
/// The hooks that are shipped as examples.
mod hook_examples;
/// A `.lattice` that is mounted read-only.
mod read_only;

/// That every known attack has a test, or a reason why not.
mod attack_rows;
/// Attacks on the end of a run.
mod attacks_end;
/// Attacks on the search for the processes of a run.
mod attacks_processes;
/// Attacks on what an end saves before it deletes.
mod attacks_saving;
/// Attacks on the start of a run.
mod attacks_start;
/// Attacks from what surrounds a run.
mod attacks_surroundings;

/// What git and the Python tool do to `.lattice` under a live run.
mod run_and_git;
/// Getting the work of a run back.
mod run_apply;
/// The same for every kind of file and of change, and refusals that leave every byte.
mod run_apply_kinds;
/// Callers in every state, and that none of it reaches the engine or keeps the caller.
mod run_callers;
/// Workers that may write only what is their own.
mod run_confined;
/// Control groups of runs, where one is delegated to the caller.
mod run_control_group;
/// One worker at a time on one task.
mod run_dedup;
/// Whether the main checkout had changes, which git finds out meanwhile.
mod run_dirty;
/// Waiters and others that look on while a run ends.
mod run_ending;
/// Everything that callers export, and who gets it.
mod run_environment;
/// Agents' hooks and tools as callers.
mod run_from_agents;
/// Git's hooks as callers.
mod run_from_git;
/// Hooks of process events, and chains of workers.
mod run_hooks;
/// Silence, and what is none.
mod run_idle;
/// Calls from inside an agent's sandbox, and from a container.
mod run_in_sandbox;
/// `.worktreeinclude`.
mod run_include;
/// What a worker has inside: environment, CLI, report; and what it may wreck.
mod run_inside;
/// Kills at system calls, by strace.
mod run_kill_campaign;
/// Kills and stops of supervisors by hand.
mod run_kills;
/// What a run may use up, and what is said when it has.
mod run_limits;
/// Logs that grow too long, and disks that take no more.
mod run_log_cap;
/// Logs and directories that go away under a run.
mod run_lost_logs;
/// Secrets in logs and reports, however they come.
mod run_masked;
/// Runs that runs start.
mod run_nested;
/// Exit codes, signals, timeouts, daemons, the log.
mod run_outcomes;
/// Worktrees that are used again, and that nobody can tell from new ones.
mod run_pool;
/// The pool's limits, its members in use, and kills while one is put or taken.
mod run_pool_members;
/// What goes when it is old.
mod run_prune;
/// Who may end whose run: stores, boots, garbage, mounts.
mod run_reap;
/// Specs and records that cannot be read.
mod run_records;
/// Runs that are run again, and all that are stopped.
mod run_renewed;
mod run_rerun;
/// What is saved from a worktree, and when it is kept.
mod run_salvage;
/// Secrets, and where they must not come.
mod run_secrets;
/// Signals that ask for a stop, in every phase.
mod run_signals;
/// How many runs are at work at once.
mod run_slots;
/// The start: slow, interrupted, crowded, private.
mod run_start;
/// Limits, orphans, copies and service managers around a run.
mod run_surroundings;
/// Daemons that a run leaves behind.
mod run_sweep;
/// Runs that wait until fewer are.
mod run_waiting;
/// What runs and people say of an end.
mod run_words;
/// Where a worker works.
mod run_worktree;

/// `lattice-shim debug`: a definition in the foreground.
mod shim_debug;

/// The review workers that come with Lattice, with stand-in agents.
mod shipped_reviews;

/// The runs on a task's page, and local times.
mod task_runs;

/// The shipped `TestRunner`, on a clone of this repository.
mod test_runner;

/// Runs, and what they leave, of other versions of the programs.
mod upgrade;

/// `worker check`.
mod worker_check;
/// `worker schema`, `new` and `add`.
mod worker_definitions;
/// `worker verdict`, and what scripts tell of agents that they ask.
mod worker_verdict;

/// Ctrl-Z, `fg`, and windows that change.
mod terminal_jobs;
/// Colour, readers that have gone, narrow terminals.
mod terminal_output;

/// Two users and root on one `.lattice`.
mod two_users;

/// `worker run --dry-run`.
mod worker_dry_run;
/// `worker env`.
mod worker_env;

/// `worker ps` for a person, `--watch`, and what is shown while a command waits.
mod worker_ps;

/// `worker list | ps | show | logs | wait | stop`, and `run --wait | --follow`.
mod worker_commands;
