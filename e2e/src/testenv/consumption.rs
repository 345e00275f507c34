// SPDX-License-Identifier: Apache-2.0

//! What a process takes of its machine, as the kernel counts it in `/proc` (proc(5)).

use std::fs;
use std::str::FromStr;
use std::time::Duration;

use super::Result;

/// The unit of times in `/proc/PID/stat`: the kernel's `USER_HZ`, 100 a second on every processor that we build for.
const TICKS_PER_SECOND: u32 = 100;

/// What a process takes at one moment. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumption {
    /// Resident memory (`VmRSS`).
    pub resident: u64,
    /// The most resident memory so far (`VmHWM`).
    pub peak: u64,
    /// Resident memory that is no file's (`RssAnon`): what a limit on a container counts for certain.
    pub anonymous: u64,
    /// How many threads there are.
    pub threads: u64,
    /// Time of processors that all its threads have used, in hundredths of a second.
    pub cpu: Duration,
}

impl Consumption {
    /// Reads what the kernel says of a process.
    ///
    /// # Errors
    /// The process is gone.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::read(&status, &stat)
            .ok_or_else(|| format!("process {pid} has ended, or /proc is not as proc(5) has it").into())
    }

    fn read(status: &str, stat: &str) -> Option<Self> {
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            u64::from_str(line.trim().trim_end_matches(" kB")).ok()
        };
        // The name in parentheses may hold anything; field 3 follows it, so that 14 and 15 are user and system time.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| u32::from_str(fields.get(index)?).ok();
        Some(Self {
            resident: number("VmRSS")? * 1024,
            peak: number("VmHWM")? * 1024,
            anonymous: number("RssAnon")? * 1024,
            threads: number("Threads")?,
            cpu: Duration::from_secs(1) * ticks(11)?.saturating_add(ticks(12)?) / TICKS_PER_SECOND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tsealwatch\nVmHWM:\t   20000 kB\nVmRSS:\t   19000 kB\nRssAnon:\t    7000 kB\nThreads:\t5\n";

    #[test]
    fn memory_threads_and_times_are_read_whatever_the_program_is_called() {
        let stat = "4711 (a) name (b) S 1 4711 4711 0 -1 4194304 1 2 3 4 150 75 8 9 20 0 5 0 100";
        let read = Consumption::read(STATUS, stat).expect("it is all there");
        let expected = Consumption {
            resident: 19_000 * 1024,
            peak: 20_000 * 1024,
            anonymous: 7_000 * 1024,
            threads: 5,
            cpu: Duration::from_millis(2_250),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_process_that_has_ended_and_waits_for_its_parent_has_no_memory_to_tell_of() {
        assert_eq!(Consumption::read("Name:\tsealwatch\nThreads:\t1\n", "1 (a) Z 1 1 1 0 -1 0 0 0 0 0 1 1 0 0"), None);
    }

    #[test]
    fn this_process_takes_some() {
        let own = Consumption::of(std::process::id()).expect("it runs");
        assert!(own.anonymous <= own.resident && own.resident <= own.peak && own.threads > 0, "{own:?}");
    }
}
