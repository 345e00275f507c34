// SPDX-License-Identifier: Apache-2.0

//! The inside of an enclosure, before anything runs there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{ADDRESS, API_SERVER, BRIDGE, cgroups};
use crate::testenv::Result;

/// Settings of the kernel that a kubelet wants to be so, and would set for the whole machine (`setupKernelTunables` in
/// Kubernetes' `pkg/kubelet/cm/container_manager_linux.go`).
pub(super) const SETTINGS: [(&str, &str); 6] = [
    ("/proc/sys/vm/overcommit_memory", "1"),
    ("/proc/sys/vm/panic_on_oom", "0"),
    ("/proc/sys/kernel/panic", "10"),
    ("/proc/sys/kernel/panic_on_oops", "1"),
    ("/proc/sys/kernel/keys/root_maxkeys", "1000000"),
    ("/proc/sys/kernel/keys/root_maxbytes", "25000000"),
];
/// For temporary files; in memory.
pub(super) const TEMPORARY: &str = "/run/tmp";

/// Makes an empty machine of the new namespaces: what is written below `/run`, `/etc` and `/var` is written to memory,
/// `/proc/sys` can be read only and shows a kubelet what it wants to see, the cgroups are those of the enclosure, and the
/// network is loopback and a bridge for pods. Logs of pods go to `logs`.
///
/// # Errors
/// A command fails; the error holds what it says.
pub fn prepare(logs: &Path) -> Result<()> {
    let hierarchies = cgroups::hierarchies()?;
    memory()?;
    settings()?;
    mount(&["-t", "sysfs", "sysfs", "/sys"])?;
    mount_cgroups(&hierarchies)?;
    let (from, to) = (logs.join("pods"), "/var/log/pods");
    fs::create_dir_all(&from)?;
    fs::create_dir_all(to)?;
    mount(&["--bind", &from.display().to_string(), to])?;
    let (address, service) = (format!("{ADDRESS}/24"), format!("{API_SERVER}/32"));
    for args in [
        &["link", "set", "lo", "up"][..],
        &["address", "add", &service, "dev", "lo"],
        &["link", "add", BRIDGE, "type", "bridge"],
        &["address", "add", &address, "dev", BRIDGE],
        &["link", "set", BRIDGE, "up"],
    ] {
        run("ip", args)?;
    }
    Ok(())
}

/// Lets everything that is written go to memory.
fn memory() -> Result<()> {
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])?;
    fs::create_dir(TEMPORARY)?;
    for folder in ["etc", "var"] {
        let (upper, work) = (format!("/run/{folder}/upper"), format!("/run/{folder}/work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let options = format!("lowerdir=/{folder},upperdir={upper},workdir={work}");
        mount(&["-t", "overlay", "-o", &options, "overlay", &format!("/{folder}")])?;
    }
    Ok(())
}

fn settings() -> Result<()> {
    mount(&["--bind", "/proc/sys", "/proc/sys"])?;
    mount(&["-o", "remount,bind,ro", "/proc/sys"])?;
    // Those of the network are the enclosure's own.
    mount(&["--bind", "/proc/sys/net", "/proc/sys/net"])?;
    mount(&["-o", "remount,bind,rw", "/proc/sys/net"])?;
    for (path, value) in SETTINGS {
        let shown = format!("/run/{}", path.replace('/', "_"));
        fs::write(&shown, format!("{value}\n"))?;
        mount(&["--bind", &shown, path])?;
    }
    Ok(())
}

fn mount_cgroups(hierarchies: &[cgroups::Hierarchy]) -> Result<()> {
    if hierarchies.iter().all(|hierarchy| hierarchy.controllers.is_none()) {
        mount(&["-t", "cgroup2", "cgroup2", cgroups::MOUNT])?;
        return cgroups::hand_on();
    }
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", cgroups::MOUNT])?;
    for controllers in hierarchies.iter().filter_map(|hierarchy| hierarchy.controllers.as_deref()) {
        let folder = Path::new(cgroups::MOUNT).join(controllers.trim_start_matches("name="));
        fs::create_dir(&folder)?;
        mount(&["-t", "cgroup", "-o", controllers, "cgroup", &folder.display().to_string()])?;
    }
    Ok(())
}

fn mount(args: &[&str]) -> Result<()> {
    run("mount", args)
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}
