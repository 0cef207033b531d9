//! What a definition allows the processes of a run, setup commands and engine alike: from the spec to those who hold
//! them to it, and what is said of a limit that was hit.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::model::duration;
use crate::model::outcome::{Exit, Reason, limit_of};
use crate::model::run::{LimitsSpec, Spec};
use crate::process::bounds::Bounds;
use crate::process::cgroup::Group;
use crate::process::gauge::Allowance;

/// The control group that the run has or is to have.
pub fn group(spec: &Spec) -> Option<Group> {
    Group::of(spec.control_group.as_ref()?, spec.run_id.as_str())
}

/// For all of them together, by looking where no group counts.
pub fn together(spec: &Spec) -> Allowance {
    Allowance {
        memory: spec.memory_limit_bytes,
        processes: spec.limits.processes,
        cpu: spec.limits.cpu_ms.map(Duration::from_millis),
    }
}

/// For each of them, by the kernel. One that burns on behind the back of a stopped supervisor meets the limit of all.
pub fn each(limits: &LimitsSpec, nice: u8) -> Bounds {
    Bounds {
        open_files: limits.open_files,
        file_size: limits.file_size_bytes,
        cpu_seconds: limits.cpu_ms.map(|cpu| cpu.div_ceil(1000).max(1)),
        nice,
    }
}

/// What a definition allows and the caller's hard limits do not: those hold, since a limit is a most.
pub fn notes(limits: &LimitsSpec) -> Vec<String> {
    let note = |(option, wanted, hard): (char, u64, u64)| {
        let key = match option {
            'n' => "open_files",
            'f' => "file_size_mb",
            _ => "cpu_minutes",
        };
        let unit = match option {
            'n' => "",
            'f' => " bytes",
            _ => " seconds",
        };
        format!(
            "limits.{key} is {wanted}{unit}, and the hard limit here is {hard}{unit} (ulimit -H{option}), which holds"
        )
    };
    each(limits, 0).beyond_own().into_iter().map(note).collect()
}

/// The limit that a process which ended by itself has met.
pub fn met(spec: &Spec, exit: Exit, cpu_is_spent: bool) -> Option<Reason> {
    let signal = exit.likely_signal()?;
    if signal == Signal::SIGKILL as i32 && cpu_is_spent {
        return Some(Reason::CpuLimit);
    }
    let is_ours = |reason: &Reason| match reason {
        Reason::CpuLimit => spec.limits.cpu_ms.is_some(),
        _ => spec.limits.file_size_bytes.is_some(),
    };
    // A status may be anything, where nothing else speaks for it.
    limit_of(signal).filter(|reason| exit.signal.is_some() || is_ours(reason))
}

/// What the limit was, if the definition has set it and nothing lower was in its way.
pub fn sentence(spec: &Spec, reason: Reason) -> Option<String> {
    let LimitsSpec { processes, cpu_ms, file_size_bytes, .. } = spec.limits;
    match reason {
        Reason::MemoryLimit => spec.memory_limit_bytes.map(|bytes| {
            let megabytes = bytes >> 20;
            format!("its processes used more than the {megabytes} MB that its definition allows and were ended")
        }),
        Reason::OomKilled => spec.memory_limit_bytes.map(|bytes| {
            let megabytes = bytes >> 20;
            format!("its processes needed more than the {megabytes} MB that its definition allows, and the kernel ended them")
        }),
        Reason::ProcessLimit => processes.map(|count| {
            format!("it ran more than the {count} processes that its definition allows, threads counted, and was ended")
        }),
        Reason::CpuLimit if is_lowest(spec, 't') => cpu_ms.map(|cpu| {
            let time = duration::text(Duration::from_millis(cpu));
            format!("its processes used up the {time} of processor time that its definition allows and were ended")
        }),
        Reason::FileSizeLimit if is_lowest(spec, 'f') => file_size_bytes.map(|bytes| {
            let megabytes = bytes >> 20;
            format!("it wrote a file longer than the {megabytes} MB that its definition allows, and the kernel ended it")
        }),
        _ => None,
    }
}

fn is_lowest(spec: &Spec, option: char) -> bool {
    !each(&spec.limits, 0).beyond_own().iter().any(|(beyond, ..)| *beyond == option)
}
