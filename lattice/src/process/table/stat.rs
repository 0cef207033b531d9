//! One row of the process table.

/// What `/proc/PID/stat` says of a process, as far as Lattice needs it (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub pid: i32,
    pub state: char,
    pub ppid: i32,
    pub pgid: i32,
    pub session: i32,
    /// Controlling terminal, 0 for none.
    pub tty: i32,
    /// Clock ticks after boot: with the boot ID this tells a process from a later one of the same number.
    pub start_ticks: u64,
    /// Processor time of its own and of the children that it has waited for, in clock ticks.
    pub cpu_ticks: u64,
    pub threads: u64,
}

impl Stat {
    /// A zombie or dead entry runs no more instructions.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// The command name may hold spaces and parentheses, so the fields begin behind the last `)`.
    pub fn parse(text: &str) -> Option<Self> {
        let pid = text.split(' ').next()?.parse().ok()?;
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse().ok();
        let count = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let cpu_ticks = (11..15).filter_map(count).sum();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            ppid: number(1)?,
            pgid: number(2)?,
            session: number(3)?,
            tty: number(4)?,
            start_ticks: count(19)?,
            cpu_ticks,
            threads: count(17).unwrap_or(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_hostile_command_name_does_not_shift_the_fields() {
        let line = "42 (a) S 1) R 7 8 9 34816 5 0 0 0 0 0 1 20 300 4000 20 0 6 0 987654 0 0";
        let stat = Stat::parse(line).expect("the line has all fields");
        assert_eq!((stat.pid, stat.state, stat.ppid, stat.pgid), (42, 'R', 7, 8));
        assert_eq!((stat.session, stat.tty, stat.start_ticks), (9, 34816, 987_654));
        assert_eq!((stat.cpu_ticks, stat.threads), (4321, 6));
    }

    #[test]
    fn a_cut_line_is_no_row() {
        assert_eq!(Stat::parse("42 (sh) S 1 2"), None);
    }
}
