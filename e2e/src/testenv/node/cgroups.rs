// SPDX-License-Identifier: Apache-2.0

//! Cgroups of an enclosure: a folder of its own in each hierarchy (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::testenv::Result;

/// Where hierarchies are mounted in the enclosure.
pub(super) const MOUNT: &str = "/sys/fs/cgroup";
/// How long the last processes may take to be gone.
const EMPTY: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A hierarchy of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Its controllers as `mount` takes them (`cpu,cpuacct`, `name=systemd`); none for version 2.
    pub(super) controllers: Option<String>,
    /// Where a folder of ours may be made.
    pub(super) folder: PathBuf,
}

/// The hierarchies: those of version 1, if there are any with a controller, else that of version 2.
///
/// # Errors
/// There are none, or the kernel's files are not as cgroups(7) has them.
pub(super) fn hierarchies() -> Result<Vec<Hierarchy>> {
    let (own, mounts) = (fs::read_to_string("/proc/self/cgroup")?, fs::read_to_string("/proc/self/mountinfo")?);
    let found = read(&own, &mounts);
    if found.is_empty() { Err("no cgroups are mounted".into()) } else { Ok(found) }
}

fn read(own: &str, mounts: &str) -> Vec<Hierarchy> {
    let lines = own.lines().filter_map(|line| {
        let mut words = line.splitn(3, ':').skip(1);
        Some((words.next()?, words.next()?))
    });
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (controllers, path) in lines {
        let Some((root, mount)) = mounted(controllers, mounts) else { continue };
        if controllers.is_empty() {
            // Below a cgroup with processes no controllers can be handed on, so at the root.
            second.push(Hierarchy { controllers: None, folder: mount });
        } else {
            let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
            let folder = mount.join(below.strip_prefix("/").unwrap_or(below));
            first.push(Hierarchy { controllers: Some(controllers.to_owned()), folder });
        }
    }
    if first.iter().any(|hierarchy| hierarchy.controllers.as_deref() != Some("name=systemd")) { first } else { second }
}

/// Root and mount point of a hierarchy (proc(5), `/proc/PID/mountinfo`).
fn mounted(controllers: &str, mounts: &str) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let (left, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
        let options: Vec<_> = right.get(2)?.split(',').collect();
        let is_it = match (*right.first()?, controllers) {
            ("cgroup2", "") => true,
            ("cgroup", wanted) if !wanted.is_empty() => wanted.split(',').all(|one| options.contains(&one)),
            _ => false,
        };
        is_it.then(|| Some((PathBuf::from(left.get(3)?), PathBuf::from(left.get(4)?))))?
    })
}

/// Makes a folder of this name in each.
///
/// # Errors
/// One cannot be made.
pub(super) fn make(name: &str, hierarchies: &[Hierarchy]) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    for hierarchy in hierarchies {
        let folder = hierarchy.folder.join(name);
        fs::create_dir(&folder).map_err(|error| format!("the cgroup {} cannot be made: {error}", folder.display()))?;
        // Without these no process can enter; version 2 takes them from above.
        let is_first = hierarchy.controllers.is_some();
        for setting in ["cpuset.cpus", "cpuset.mems"] {
            if is_first && folder.join(setting).exists() {
                fs::write(folder.join(setting), fs::read(hierarchy.folder.join(setting))?)?;
            }
        }
        made.push(folder);
    }
    Ok(made)
}

/// Moves this process there.
///
/// # Errors
/// The kernel refuses.
pub(super) fn enter(folders: &[PathBuf]) -> Result<()> {
    for folder in folders {
        fs::write(folder.join("cgroup.procs"), "0")
            .map_err(|error| format!("the cgroup {} cannot be entered: {error}", folder.display()))?;
    }
    Ok(())
}

/// In an enclosure: makes a cgroup of this name in each hierarchy, and moves a process there.
///
/// # Errors
/// The kernel refuses.
pub fn put_into_cgroup(name: &str, pid: u32) -> Result<()> {
    let is_second = Path::new(MOUNT).join("cgroup.procs").exists();
    let roots = fs::read_dir(MOUNT)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let roots = if is_second { vec![PathBuf::from(MOUNT)] } else { roots };
    let hierarchies = roots.into_iter().map(|folder| Hierarchy { controllers: (!is_second).then(String::new), folder });
    for folder in make(name, &hierarchies.collect::<Vec<_>>())? {
        fs::write(folder.join("cgroup.procs"), pid.to_string())?;
    }
    Ok(())
}

/// Hands all controllers of version 2 on, which takes a cgroup without processes of its own.
///
/// # Errors
/// The kernel refuses.
pub(super) fn hand_on() -> Result<()> {
    let (root, leaf) = (Path::new(MOUNT), Path::new(MOUNT).join("tests"));
    fs::create_dir(&leaf)?;
    enter(&[leaf])?;
    let controllers = fs::read_to_string(root.join("cgroup.controllers"))?;
    let all: Vec<String> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
    Ok(fs::write(root.join("cgroup.subtree_control"), all.join(" "))?)
}

/// Removes these folders and all below them, once the last process has left.
///
/// # Errors
/// A process stays.
pub(super) fn remove(folders: &[PathBuf]) -> Result<()> {
    let began = Instant::now();
    for folder in folders {
        while let Err(error) = remove_tree(folder) {
            if began.elapsed() > EMPTY {
                return Err(format!("the cgroup {} cannot be removed: {error}", folder.display()).into());
            }
            std::thread::sleep(POLL);
        }
    }
    Ok(())
}

/// The files in such folders go with them, and cannot go before.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_version_1_lie_in_the_cgroup_of_this_process_in_each_hierarchy() {
        let own = "9:name=systemd:/\n4:memory:/jobs/7\n2:cpu,cpuacct:/docker/abc\n0::/\n";
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            31 30 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
            32 30 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let folders: Vec<_> = read(own, mounts).into_iter().map(|hierarchy| hierarchy.folder).collect();
        let expected = ["systemd", "memory/jobs/7", "cpu,cpuacct"].map(|folder| Path::new(MOUNT).join(folder));
        assert_eq!(folders, expected);
    }

    #[test]
    fn with_version_2_alone_it_is_at_the_root_and_without_any_nowhere() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = read("0::/user.slice/session-1.scope\n", mounts);
        assert_eq!(found, [Hierarchy { controllers: None, folder: MOUNT.into() }]);
        assert_eq!(read("0::/\n", ""), []);
    }
}
