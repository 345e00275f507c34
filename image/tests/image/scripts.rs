// SPDX-License-Identifier: Apache-2.0

//! What `dev/release*` and `dev/version` say, in a repository of the test's own with the files that they read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sealwatch_image::Result;
use tempfile::TempDir;

use crate::{in_repository, text};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A repository that could be released: every file that the scripts read, an entry of CHANGELOG.md, the definitions kept,
/// and the tag.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new() -> Result<Self> {
        let repository = Self { folder: tempfile::tempdir()? };
        for part in ["Cargo.toml", "CHANGELOG.md", "Dockerfile", "README.md", "charts", "config", "dev", "docs"] {
            copy(&in_repository(part), &repository.path(part))?;
        }
        let entry = format!("## [Unreleased]\n\n## [{VERSION}] - 2026-11-30\n### Added\n- Everything.\n");
        fs::write(repository.path("CHANGELOG.md"), entry)?;
        fs::write(repository.path(".gitignore"), "/build\n")?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.said("dev/release-keep", &[])?;
        repository.commit()?;
        repository.tag()?;
        Ok(repository)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn git(&self, args: &[&str]) -> Result<()> {
        let mut git = Command::new("git");
        // Nothing of the user's own, such as signing.
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        let output = git.current_dir(self.folder.path()).stdin(Stdio::null()).output()?;
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn commit(&self) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "all of it"])
    }

    fn tag(&self) -> Result<()> {
        self.git(&["tag", "--force", &format!("v{VERSION}")])
    }

    fn replace(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.path(file);
        let text = fs::read_to_string(&path)?;
        assert!(text.contains(from), "{file} has no {from}");
        Ok(fs::write(path, text.replacen(from, to, 1))?)
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.path(script));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("RELEASE_IMAGE");
        command
    }

    /// What a script prints, if it is content.
    fn said(&self, script: &str, args: &[&str]) -> Result<String> {
        let output = self.command(script, args).output()?;
        assert!(output.status.success(), "{script} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// The one sentence with which a script refuses.
    fn refused(&self, script: &str, args: &[&str]) -> Result<String> {
        refusal(script, &self.command(script, args).output()?)
    }
}

fn refusal(script: &str, output: &Output) -> Result<String> {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{script} was content: {stdout}");
    assert_eq!(stdout, "", "{script}");
    let errors: Vec<&str> = stderr.lines().collect();
    assert_eq!(errors.len(), 1, "{script}: {stderr}");
    Ok(errors[0].split_once("error: ").ok_or("an error")?.1.to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[test]
fn one_version_stands_everywhere() -> Result<()> {
    let output = Command::new(in_repository("dev/version")).stdin(Stdio::null()).output()?;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8(output.stdout)?, format!("{VERSION}\n"));
    Ok(())
}

#[test]
fn another_version_anywhere_stops_even_a_dry_run() -> Result<()> {
    let repository = Repository::new()?;
    for (file, from) in [
        ("Cargo.toml", format!("sealwatch-registry = {{ path = \"crates/registry\", version = \"{VERSION}\"")),
        ("charts/sealwatch/Chart.yaml", format!("\nversion: {VERSION}")),
        ("charts/sealwatch/Chart.yaml", format!("appVersion: {VERSION}")),
        ("config/default/kustomization.yaml", format!("newTag: {VERSION}")),
        ("docs/install.md", format!("registry.example.com/sealwatch:{VERSION}")),
        ("Dockerfile", format!("registry.example.com/sealwatch:{VERSION}")),
    ] {
        let to = from.replace(VERSION, "9.8.7");
        repository.replace(file, &from, &to)?;
        for args in [&[][..], &["--dry-run"]] {
            let said = repository.refused("dev/release-check", args)?;
            let line = said.strip_prefix(&format!("{file}, line ")).ok_or_else(|| said.clone())?;
            let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
            let expected = format!(", says version '9.8.7' where Cargo.toml says '{VERSION}'; make them the same");
            assert_eq!(rest, expected);
        }
        repository.replace(file, &to, &from)?;
    }
    repository.replace("Cargo.toml", &format!("\nversion = \"{VERSION}\""), "\nversion = \"next\"")?;
    let said = repository.refused("dev/version", &[])?;
    assert!(said.starts_with("Cargo.toml has 'next' as version of [workspace.package]"), "{said}");
    Ok(())
}

#[test]
fn what_stops_a_release_is_one_sentence_and_a_warning_of_a_dry_run() -> Result<()> {
    let stops = |repository: &Repository, beginning: &str| -> Result<()> {
        let said = repository.refused("dev/release-check", &[])?;
        assert!(said.starts_with(beginning), "{said}");
        let output = repository.command("dev/release-check", &["--dry-run"]).output()?;
        assert!(output.status.success());
        let warned = String::from_utf8(output.stderr)?;
        assert_eq!(warned.trim_end(), format!("WARNING: a release would stop here: {said}"));
        assert_eq!(String::from_utf8(output.stdout)?, format!("{VERSION}\n"));
        Ok(())
    };
    let repository = Repository::new()?;
    assert_eq!(repository.said("dev/release-check", &[])?, VERSION);

    fs::write(repository.path("new"), "")?;
    stops(&repository, "there are changes that are not committed (?? new); commit them or take them away")?;
    repository.commit()?;
    stops(&repository, &format!("the tag v{VERSION} is not at this commit; "))?;
    repository.tag()?;

    let (kept, heading) = (format!("e2e/tests/upgrade/v{VERSION}/crds.yaml"), format!("## [{VERSION}] - 2026-11-30"));
    for (file, from, to, beginning) in [
        ("CHANGELOG.md", heading.as_str(), "## Other", format!("CHANGELOG.md has no section '## [{VERSION}] - YEAR-")),
        ("CHANGELOG.md", " - 2026-11-30", " - soon", format!("CHANGELOG.md has no section '## [{VERSION}] - YEAR-")),
        (
            "CHANGELOG.md",
            "### Added\n- Everything.\n",
            "",
            format!("the section of {VERSION} in CHANGELOG.md is empty"),
        ),
        (&kept, "kind: ", "Kind: ", format!("{kept} is not what config/crd has; run ./just release-keep")),
    ] {
        repository.replace(file, from, to)?;
        repository.commit()?;
        repository.tag()?;
        stops(&repository, &beginning)?;
        repository.git(&["reset", "--quiet", "--hard", "HEAD^"])?;
        repository.tag()?;
    }
    fs::remove_file(repository.path(&kept))?;
    repository.commit()?;
    repository.tag()?;
    stops(&repository, &format!("{kept} is missing, by which later versions test upgrades; "))?;
    Ok(())
}

#[test]
fn definitions_of_a_released_version_cannot_be_kept_anew() -> Result<()> {
    let said = Repository::new()?.refused("dev/release-keep", &[])?;
    assert!(said.starts_with(&format!("v{VERSION} is released; what it had must not change.")), "{said}");
    Ok(())
}

#[test]
fn arguments_that_nobody_knows_and_a_release_from_nowhere_are_refused_in_a_sentence() -> Result<()> {
    let repository = Repository::new()?;
    for (script, args, beginning) in [
        ("dev/release", &["--dryrun"][..], "there is no argument --dryrun; usage: dev/release [--dry-run]"),
        ("dev/release", &["--image"], "--image needs a repository; usage: "),
        ("dev/release", &[], "nothing says where the image will lie, which the installation in one file names; "),
        ("dev/release-check", &["now"], "dev/release-check takes --dry-run or nothing, not: now"),
        ("dev/release-manifests", &["build"], "usage: dev/release-manifests FOLDER IMAGE [DIGEST]"),
        ("dev/release-manifests", &["build", "UPPER/case"], "'UPPER/case' is no repository of an image, without tag"),
        ("dev/release-manifests", &["build", "a.example/b:1"], "'a.example/b:1' is no repository of an image"),
        (
            "dev/release-manifests",
            &["build", "a.example/b", "1"],
            "'1' is no digest of an image: sha256: and 64 digits",
        ),
    ] {
        let said = repository.refused(script, args)?;
        assert!(said.starts_with(beginning), "{script} {args:?}: {said}");
    }
    fs::remove_dir_all(repository.path(".git"))?;
    // No repository around it either.
    let mut command = repository.command("dev/release-check", &["--dry-run"]);
    command.env("GIT_CEILING_DIRECTORIES", repository.folder.path().parent().ok_or("a parent")?);
    let said = refusal("dev/release-check", &command.output()?)?;
    assert_eq!(said, "this is no checkout of git with a commit; a release is made of one");
    Ok(())
}

#[test]
fn notes_of_a_release_are_its_section_without_heading_and_links() -> Result<()> {
    let repository = Repository::new()?;
    let text = "# Changes\n\n## [Unreleased]\n\n### Added\n- b\n\n## [1.2.3] - 2026-01-31\n\n### Fixed\n- a\n\n- c\n\n\n\
                ## [1.2.30] - 2026-01-30\n- d\n\n[1.2.3]: https://example.com\n";
    fs::write(repository.path("CHANGELOG.md"), text)?;
    assert_eq!(repository.said("dev/release-notes", &["1.2.3"])?, "### Fixed\n- a\n\n- c");
    assert_eq!(repository.said("dev/release-notes", &["1.2.30"])?, "- d");
    assert_eq!(repository.said("dev/release-notes", &["Unreleased"])?, "### Added\n- b");
    assert_eq!(repository.said("dev/release-notes", &["1.2"])?, "");
    Ok(())
}

#[test]
fn what_cannot_be_compared_or_tried_is_refused_in_a_sentence() -> Result<()> {
    let repository = Repository::new()?;
    let said = repository.refused("dev/image-e2e", &["docs"])?;
    assert!(said.ends_with("/docs is no OCI layout; ./just image makes one"), "{said}");
    fs::write(repository.path("new"), "")?;
    let said = repository.refused("dev/image-twice", &[])?;
    assert_eq!(said, "there are changes that are not committed (?? new), which the second build would not have");
    Ok(())
}

/// Stand-ins for the compilers, in front of PATH: a build takes minutes, and what is tried here is how it is called. The
/// program that they make holds `contents`; the environment of the call is written beside it.
fn compilers(repository: &Repository, contents: &str) -> Result<Command> {
    let bin = repository.path("build/bin");
    fs::create_dir_all(&bin)?;
    let target = "x86_64-unknown-linux-gnu";
    fs::create_dir_all(repository.path(&format!("build/sysroot/lib/rustlib/{target}/lib")))?;
    let sysroot = repository.path("build/sysroot").display().to_string();
    let rustc = format!("#!/bin/sh\n[ \"$1\" = -vV ] && echo 'host: {target}' || echo '{sysroot}'\n");
    let cargo = "#!/bin/sh\n[ \"$1\" = build ] || exit 0\nfolder=target/image/x86_64-unknown-linux-gnu/release\n\
                 mkdir -p $folder\ncat \"$CARGO_HOME/contents\" >$folder/sealwatch\nenv >$folder/environment\n";
    for (name, text) in [("rustc", rustc.as_str()), ("cargo", cargo)] {
        fs::write(bin.join(name), text)?;
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let home = repository.path("build/cargo");
    fs::create_dir_all(home.join("registry/src/mirror.example.com-0123"))?;
    fs::write(home.join("contents"), contents)?;
    let mut command = repository.command("dev/programs", &[]);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    command.env("PATH", path).env("CARGO_HOME", home).env("CC", "cc");
    command.env_remove("IMAGE_TARGET_DIR").env("IMAGE_ARCHITECTURES", "amd64");
    Ok(command)
}

#[test]
fn a_program_in_which_a_folder_of_the_machine_is_found_is_refused() -> Result<()> {
    let repository = Repository::new()?;
    let line = "amd64:x86_64-unknown-linux-gnu:target/image/x86_64-unknown-linux-gnu/release/sealwatch\n";
    let output = compilers(&repository, "a program")?.output()?;
    assert_eq!((output.status.code(), String::from_utf8(output.stdout)?.as_str()), (Some(0), line));
    for folder in ["", "target/image", "build/cargo/registry/src/mirror.example.com-0123"] {
        let found = fs::canonicalize(repository.folder.path())?.join(folder).display().to_string();
        let output = compilers(&repository, &format!("before{found}/src/main.rs after"))?.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.success(), output.stdout.len()), (false, 0), "{said}");
        assert!(said.contains("of this machine in it; the same commit would be other bytes elsewhere"), "{said}");
    }
    let output = compilers(&repository, "")?.env("IMAGE_ARCHITECTURES", "riscv64").output()?;
    let said = refusal("dev/programs", &output)?;
    assert_eq!(said, "riscv64 is no architecture that is built; amd64 and arm64 are");
    Ok(())
}

#[test]
fn flags_of_the_caller_do_not_count_and_every_folder_has_another_name() -> Result<()> {
    let repository = Repository::new()?;
    let mut command = compilers(&repository, "a program")?;
    let strange = [
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "CARGO_PROFILE_RELEASE_LTO",
        "CARGO_BUILD_TARGET",
        "CFLAGS",
        "CFLAGS_x86_64_unknown_linux_gnu",
        "TARGET_CFLAGS",
        "CPATH",
        "AR",
        "SOURCE_DATE_EPOCH",
    ];
    command.envs(strange.map(|name| (name, "strange"))).env("HTTPS_PROXY", "http://127.0.0.1:1");
    assert!(command.output()?.status.success());
    let environment = repository.path("target/image/x86_64-unknown-linux-gnu/release/environment");
    let environment = fs::read_to_string(environment)?;
    assert!(!environment.contains("=strange"), "{environment}");
    assert!(environment.contains("HTTPS_PROXY=http://127.0.0.1:1\n"), "{environment}");
    let root = fs::canonicalize(repository.folder.path())?.display().to_string();
    let mirror = format!("{root}/build/cargo/registry/src/mirror.example.com-0123=/cargo/registry/src");
    // The last one that fits counts: the narrower ones stand behind.
    let (own, cargo) = (format!("{root}=/sealwatch"), format!("{root}/build/cargo=/cargo"));
    let maps = [own, cargo, mirror, format!("{root}/target/image=/target")];
    let rust: Vec<String> = maps.iter().map(|map| format!("--remap-path-prefix={map}")).collect();
    let rust = format!("CARGO_ENCODED_RUSTFLAGS=-Ctarget-feature=+crt-static\u{1f}{}\n", rust.join("\u{1f}"));
    assert!(environment.contains(&rust), "{environment}");
    let c: Vec<String> = maps.iter().map(|map| format!("-ffile-prefix-map={map}")).collect();
    let c = format!("CFLAGS_x86_64_unknown_linux_gnu={}\n", c.join(" "));
    assert!(environment.contains(&c), "{environment}");
    Ok(())
}

/// A stand-in for `gh` writes down how it was called: what it would do can be tried on GitHub alone.
#[test]
fn a_draft_has_the_files_that_the_checksums_name_and_no_others() -> Result<()> {
    let repository = Repository::new()?;
    let said = repository.refused("dev/release-draft", &[])?;
    assert_eq!(said, format!("there is no build/release/{VERSION}/SHA256SUMS; ./just release makes it"));

    let files = repository.path(&format!("build/release/{VERSION}"));
    fs::create_dir_all(&files)?;
    fs::write(files.join("one"), "1\n")?;
    let sums = Command::new("sha256sum").arg("one").current_dir(&files).output()?.stdout;
    fs::write(files.join("SHA256SUMS"), sums)?;
    let (bin, calls) = (repository.path("build/bin"), repository.path("build/calls"));
    fs::create_dir(&bin)?;
    fs::write(bin.join("gh"), "#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" \"$(cat)\" >\"$CALLS\"\n")?;
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let draft = || repository.command("dev/release-draft", &[]).env("PATH", &path).env("CALLS", &calls).output();

    fs::write(files.join("two"), "2\n")?;
    let said = refusal("dev/release-draft", &draft()?)?;
    assert!(said.starts_with("SHA256SUMS does not name exactly what is in build/release/"), "{said}");
    fs::remove_file(files.join("two"))?;
    assert!(!calls.exists());
    assert!(draft()?.status.success());
    let folder = format!("build/release/{VERSION}");
    let called = format!(
        "release\ncreate\nv{VERSION}\n--draft\n--verify-tag\n--title\nSealwatch {VERSION}\n--notes-file\n-\n\
         {folder}/SHA256SUMS\n{folder}/one\n### Added\n- Everything.\n"
    );
    assert_eq!(fs::read_to_string(&calls)?, called);

    fs::write(files.join("one"), "other\n")?;
    let output = draft()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("is not what SHA256SUMS says; run ./just release again"),
        "{said}"
    );
    Ok(())
}

#[test]
fn the_one_file_of_definitions_has_both_as_they_are_installed() -> Result<()> {
    let output = Command::new(in_repository("dev/crds")).stdin(Stdio::null()).output()?;
    let all: Vec<serde_json::Value> = serde_saphyr::from_multiple(&String::from_utf8(output.stdout)?)?;
    let all: Vec<_> = all.into_iter().filter(|document| !document.is_null()).collect();
    let mut expected = Vec::new();
    for kind in ["imageverifications", "trustpolicies"] {
        expected.push(serde_saphyr::from_str::<serde_json::Value>(&text(&format!(
            "config/crd/{kind}.sealwatch.dev.yaml"
        ))?)?);
    }
    assert_eq!(all, expected);
    Ok(())
}
